"""What an answer says of its arithmetic: equal where the bytes must be equal, else another."""

import asyncio
import json
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from homerun import __version__, native
from homerun.service.library import Library
from homerun.service.models import ModelSpec, ServedModels, load_models
from homerun.settings import Settings
from homerun.types import Finished, GenerateRequest, Identity, SamplingParams, TextDelta
from tests.service.serving import make_service

ROOKIE = Path(str(files("homerun").joinpath("data", "rookie")))
ASK = GenerateRequest(
    "mine", prompt="Tell me a story", max_tokens=20, sampling=SamplingParams(seed=5)
)


def load(directory: Path, **changes: object) -> ServedModels:
    settings = Settings.from_environment({}, home=directory / "home", **changes)
    return load_models([ModelSpec("mine", directory)], settings)


def said(directory: Path, **changes: object) -> str:
    return load(directory, **changes).by_name["mine"].arithmetic


def answer(models: ServedModels, home: Path) -> tuple[str, str, Finished]:
    """What is said of an answer, and the answer."""
    service = make_service(models, Settings.from_environment({}, home=home))
    service.open()

    async def ask() -> tuple[str, str, Finished]:
        generation = await service.start(ASK, Identity("local"), "test")
        items = [item async for item in generation]
        text = "".join(item.text for item in items if isinstance(item, TextDelta))
        assert isinstance(items[-1], Finished)
        return generation.arithmetic, text, items[-1]

    try:
        return asyncio.run(ask())
    finally:
        service.close()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOKIE, tmp_path / "checkpoint"))


def test_what_it_is_made_of(checkpoint: Path) -> None:
    *parts, digest = said(checkpoint, dtype="int8").split("/")
    assert parts == [__version__, native.instruction_set(), "int8", "bf16"]
    assert len(digest) == 12
    assert int(digest, 16) >= 0


def test_equal_where_only_speed_and_room_differ(checkpoint: Path, tmp_path: Path) -> None:
    """Packed or not, copied or mapped, a shorter window, less cache, fewer rows, no drafts."""
    packed = Library(tmp_path / "home").add("mine", checkpoint).directory
    ways = [
        load(checkpoint),
        load(packed),
        load(packed, weights_in_ram=True, max_model_len=64, kv_memory=1 << 20),
        load(packed, max_batch_tokens=3, max_sequences=1, speculation=False),
    ]
    assert len({answer(models, tmp_path) for models in ways}) == 1


def test_another_where_an_answer_may_differ(checkpoint: Path) -> None:
    found = [
        said(checkpoint),
        said(checkpoint, kv_dtype="fp32"),
        *(said(checkpoint, dtype=dtype) for dtype in ("fp32", "bf16", "int8")),
    ]

    def change(name: str, **fields: object) -> None:
        path = checkpoint / name
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))
        found.append(said(checkpoint))

    change("generation_config.json", eos_token_id=[3, 9])
    change("config.json", rms_norm_eps=2e-5)
    change("tokenizer_config.json", chat_template="{{ messages[0].content }}")
    (checkpoint / "chat_template.jinja").write_text("{{ messages[0].content }}!")
    found.append(said(checkpoint))
    data = bytearray((checkpoint / "model.safetensors").read_bytes())
    data[-2] ^= 1
    (checkpoint / "model.safetensors").write_bytes(data)
    found.append(said(checkpoint))
    assert len(set(found)) == len(found)


def test_the_template_of_the_catalog_counts() -> None:
    """The same weights under two names, with two templates."""
    settings = Settings.from_environment({})
    as_rookie = load_models([ModelSpec("@homerun/rookie")], settings).by_name["@homerun/rookie"]
    assert as_rookie.window == load(ROOKIE).by_name["mine"].window
    assert as_rookie.arithmetic != said(ROOKIE)


def test_the_instruction_set_is_named(checkpoint: Path) -> None:
    before = native.instruction_set()
    try:
        for name in native.instruction_sets():
            assert said(checkpoint, instruction_set=name).split("/")[1] == name
    finally:
        native.configure(None, before)
