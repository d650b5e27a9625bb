"""Importing: what lands where, what is refused, and nothing half-written whatever happens."""

import math
import os
import shutil
import signal
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from homerun.errors import CheckpointError, ConfigurationError
from homerun.model.loader import load_model
from homerun.service import library as module
from homerun.service.comparison import compare
from homerun.service.library import Library, verify
from homerun.service.models import ModelSpec, checkpoint_directory, load_models
from homerun.settings import Settings
from homerun.text.tokenizer import Tokenizer
from tests.checkpoints import write_checkpoint
from tests.model.sequences import Sequences

ROOKIE = Path(str(files("homerun").joinpath("data", "rookie")))
LLAMA = "@cf/meta/llama-2-7b-chat-int8"
TEXT = "Once upon a time there was a small dog. The dog was very happy. It ran to the house. " * 40


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "home")


def entries(home: Path) -> set[str]:
    return {path.name for path in (home / "models").iterdir()} - {".lock"}


def settings(home: Path, **changes: object) -> Settings:
    return Settings.from_environment({}, home=home, **changes)


def test_what_an_import_makes(library: Library, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    model = library.add("mine", ROOKIE, "int8", progress=lambda *done: told.append(done))
    assert library.all() == [model] == [library.find("mine")]
    assert {path.name for path in model.directory.iterdir()} == {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
        "model.homerun",
    }  # fmt: skip
    assert (model.facts.dtype, model.facts.source) == ("int8", str(ROOKIE))
    assert told[-1][0] == told[-1][1]
    assert sorted(told) == told
    assert (model.directory.parent.parent, model.directory.name) == (tmp_path / "home", "mine")
    assert load_model(model.directory, dtype=None).revision == (
        load_model(ROOKIE, dtype="int8").revision
    )


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    """rookie with the tokens that Llama's chats need."""
    source = tmp_path / "llama"
    shutil.copytree(ROOKIE, source)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (source / name).read_text()
        for mine, theirs in (("<|bos|>", "<s>"), ("<|end|>", "</s>")):
            text = text.replace(mine, theirs)
        (source / name).write_text(text)
    return source


def test_dtypes(library: Library, llama: Path) -> None:
    """As asked, else as the catalog says, else as stored."""
    assert library.add("own", ROOKIE).facts.dtype == "fp16"
    assert library.add(LLAMA, llama).facts.dtype == "int8"
    assert library.add(LLAMA, llama, "bf16").facts.dtype == "bf16"
    with pytest.raises(CheckpointError, match="which llama2 chats need"):
        library.add(LLAMA, ROOKIE)
    with pytest.raises(CheckpointError, match=r"of the llama family, and @cf/google.* of gemma"):
        library.add("@cf/google/gemma-2b-it-lora", llama)
    with pytest.raises(CheckpointError, match="of the llama family"):
        load_models([ModelSpec("@cf/google/gemma-2b-it-lora", llama)], settings(llama))
    grouped = library.add("own", ROOKIE, "int8", (128, 64)).facts
    assert (grouped.weight_group, grouped.activation_group) == (128, 64)
    assert [model.name for model in library.all()] == [LLAMA, "own"]


@pytest.mark.parametrize("name", ["@cf/meta/a-b.c", "my model", "50%2F", ".hidden", "größe/模型"])
def test_any_name_is_one_visible_directory(name: str, library: Library, tmp_path: Path) -> None:
    model = library.add(name, ROOKIE)
    assert model.directory.parent == tmp_path / "home" / "models"
    assert [one.name for one in library.all()] == [name]
    library.remove(name)
    assert library.all() == []
    assert entries(tmp_path / "home") == set()


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("../x", {}, "cannot be the name"),
        ("模" * 100, {}, "cannot be the name"),
        ("@homerun/rookie", {}, "comes with homerun"),
        ("x", {"dtype": "int4"}, "--dtype 'int4' is none of int8"),
        ("x", {"groups": (64, 0)}, "groups are for int8, and x becomes fp16"),
        ("x", {"groups": (63, 0), "dtype": "int8"}, "multiple of 64"),
        ("x", {"groups": (1 << 21, 0), "dtype": "int8"}, "multiple of 64 up to 1048576"),
        ("x", {"source": Path("/nowhere")}, "/nowhere is not a directory"),
    ],
)
def test_imports_that_are_refused(
    name: str, options: dict[str, object], told: str, library: Library
) -> None:
    with pytest.raises((CheckpointError, ConfigurationError)) as caught:
        library.add(name, **{"source": ROOKIE, **options})  # pyright: ignore[reportArgumentType]
    assert told in str(caught.value)
    assert library.all() == []


def test_a_packed_directory_is_not_imported_again(library: Library) -> None:
    model = library.add("mine", ROOKIE)
    with pytest.raises(ConfigurationError, match="is packed already: homerun serve other="):
        library.add("other", model.directory)


def test_a_damaged_checkpoint_leaves_nothing(library: Library, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOKIE, source)
    data = bytearray((source / "model.safetensors").read_bytes())
    data[-5000:] = b"\xff" * 5000  # NaN in the last tensor
    (source / "model.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="holds NaN or infinity"):
        library.add("mine", source)
    assert entries(tmp_path / "home") == set()
    (source / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no tokenizer\.json"):
        library.add("mine", source)


def test_a_full_disk_is_told_before_anything_is_written(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10**7)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: usage)
    words = r"needs 16\.\d\d MB in .* where 10\.00 MB are free"
    with pytest.raises(ConfigurationError, match=words):
        library.add("mine", ROOKIE)
    assert entries(tmp_path / "home") == set()


SLOW_IMPORT = """
import signal, sys, time
from pathlib import Path
from homerun.service.library import Library
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
def progress(done, count):
    if done > count / 2:
        print("half", flush=True)
        time.sleep(60)
Library(Path(sys.argv[1])).add("mine", Path(sys.argv[2]), "bf16", progress=progress)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle(how: signal.Signals, library: Library, tmp_path: Path) -> None:
    """The model that was there stays; the next import clears what is left."""
    home = tmp_path / "home"
    library.add("mine", ROOKIE, "fp16")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SLOW_IMPORT, str(home), str(ROOKIE)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        with pytest.raises(ConfigurationError, match="another homerun is changing"):
            library.add("other", ROOKIE)
        process.send_signal(how)
        process.wait(30)
    assert [model.name for model in library.all()] == ["mine"]
    assert library.get("mine").facts.dtype == "fp16"
    verify(library.get("mine").directory)
    assert len(entries(home)) == (2 if how == signal.SIGKILL else 1)
    library.add("mine", ROOKIE, "int8")
    assert entries(home) == {"mine"}
    assert library.get("mine").facts.dtype == "int8"


KILLED_IMPORT = """
import os, signal, sys
from pathlib import Path
from homerun.service.library import Library
renames = 0
def die(event, arguments):
    global renames
    if event == "os.rename":
        renames += 1
        if renames == int(sys.argv[3]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(die)
Library(Path(sys.argv[1])).add("mine", Path(sys.argv[2]), "int8")
"""


@pytest.mark.parametrize("rename", range(1, 5))
def test_killed_while_it_replaces(rename: int, library: Library, tmp_path: Path) -> None:
    """The name leads to the old model or to the new one, whole; nothing stays behind for long."""
    home = tmp_path / "home"
    library.add("mine", ROOKIE, "fp16")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "PYTHONDONTWRITEBYTECODE": "1",  # the interpreter's renames do not count
    }
    command = [sys.executable, "-c", KILLED_IMPORT, str(home), str(ROOKIE), str(rename)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    (model,) = library.all()
    assert (model.name, model.facts.dtype) == ("mine", "int8" if rename == 4 else "fp16")
    verify(model.directory)
    assert len(entries(home)) > 1
    with pytest.raises(ConfigurationError, match="no model is imported as other"):
        library.remove("other")
    library.remove("mine")
    assert entries(home) == set()


def test_a_model_whose_successor_never_came_has_its_name_again(
    library: Library, tmp_path: Path
) -> None:
    directory = library.add("mine", ROOKIE, "fp16").directory
    directory.rename(directory.with_name(".replaced-mine"))
    library.add("other", ROOKIE)
    assert entries(tmp_path / "home") == {"mine", "other"}
    assert library.get("mine").facts.dtype == "fp16"


@pytest.mark.parametrize("home", ["/dev/null/home", "/proc/homerun"])
def test_a_home_that_cannot_be_written(home: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{home}/models cannot be used: "):
        Library(Path(home)).add("mine", ROOKIE)
    assert Library(Path(home)).all() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_home_that_cannot_be_read(library: Library, tmp_path: Path) -> None:
    library.add("mine", ROOKIE)
    models = tmp_path / "home" / "models"
    models.chmod(0)
    try:
        for call in (library.all, lambda: library.find("mine"), lambda: library.remove("mine")):
            with pytest.raises(ConfigurationError, match="cannot be used: Permission denied"):
                call()
    finally:
        models.chmod(0o700)


def test_a_model_larger_than_the_memory_can_be_verified(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = library.add("mine", ROOKIE)
    monkeypatch.setattr("homerun.model.memory.available_memory", lambda root: 10**6)
    assert verify(model.directory).header.facts.dtype == "fp16"


def test_a_loaded_model_outlives_its_replacement_and_removal(library: Library) -> None:
    file = verify(library.add("mine", ROOKIE, "fp16").directory)
    before = file.data.tobytes()
    library.add("mine", ROOKIE, "int8")
    library.remove("mine")
    assert file.data.tobytes() == before
    file.verify()
    with pytest.raises(ConfigurationError, match="no model is imported as mine"):
        library.remove("mine")


# Serving.


def test_imported_models_are_served_by_name(library: Library, llama: Path, tmp_path: Path) -> None:
    """Own names and catalog names, also where rookie would stand in otherwise."""
    home = tmp_path / "home"
    library.add("mine", ROOKIE, "bf16")
    library.add(LLAMA, llama, "fp16")  # not what the catalog says: the import decides
    specs = [ModelSpec("mine"), ModelSpec(LLAMA)]
    served = load_models(specs, settings(home, stand_in=True, max_model_len=64))
    assert served.by_name["mine"].stand_in is None
    assert served.by_name[LLAMA].stand_in is None
    served = load_models([ModelSpec("mine")], settings(home, weights_in_ram=True))
    assert list(served.by_name) == ["mine"]


def test_a_packed_directory_is_served_as_a_path(library: Library, tmp_path: Path) -> None:
    model = library.add("mine", ROOKIE, "int8")
    spec = ModelSpec("other", model.directory)
    assert list(load_models([spec], settings(tmp_path / "elsewhere")).by_name) == ["other"]
    with pytest.raises(CheckpointError, match="holds int8 weights, not bf16"):
        load_models([spec], settings(tmp_path / "elsewhere", dtype="bf16"))


def test_what_to_do_where_weights_are_missing(tmp_path: Path) -> None:
    chosen = settings(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load_models([ModelSpec(LLAMA)], chosen)
    assert f"homerun models pull {LLAMA} && homerun serve {LLAMA}" in str(caught.value)
    with pytest.raises(ConfigurationError, match=r"did you mean @homerun/rookie\?"):
        load_models([ModelSpec("rookie")], chosen)
    with pytest.raises(ConfigurationError, match="neither in the catalog nor imported"):
        checkpoint_directory(ModelSpec("mine"), None, tmp_path)


def test_a_kv_cache_larger_than_the_memory_is_refused(
    library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library.add("mine", ROOKIE, "int8")
    home = tmp_path / "home"
    with pytest.raises(ConfigurationError, match=r"mine: weights and KV cache need .* available"):
        load_models([ModelSpec("mine")], settings(home, kv_memory=1 << 50))
    # Together with the weights, which it would push out of memory.
    monkeypatch.setattr("homerun.service.models.available_memory", lambda: 30_000_000)
    with pytest.raises(ConfigurationError, match="serve with --kv-memory"):
        load_models([ModelSpec("mine")], settings(home, kv_memory=25_000_000))
    load_models([ModelSpec("mine")], settings(home, kv_memory=15_000_000))


def test_models_that_do_not_fit_together_are_told(
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Served all the same: mapped weights can be read again, and the KV memory was not chosen."""
    for name in ("one", "two"):
        library.add(name, ROOKIE, "int8")
    chosen = settings(tmp_path / "home", max_model_len=64)
    monkeypatch.setattr("homerun.service.models.available_memory", lambda: 12_000_000)
    load_models([ModelSpec("one")], chosen)
    assert not caplog.messages
    load_models([ModelSpec("one"), ModelSpec("two")], chosen)
    (told,) = caplog.messages
    assert told.startswith("two: the weights need")
    assert "beside the models before it" in told


# Comparison.


def test_perplexity_of_the_packed_model_and_its_source(library: Library) -> None:
    same = compare(library.add("same", ROOKIE), TEXT, window=128)
    assert same.packed == same.source
    assert 1 < same.packed < 4096
    assert same.difference == 0
    int8 = compare(library.add("int8", ROOKIE, "int8"), TEXT, window=128)
    assert (int8.packed_dtype, int8.source_dtype) == ("int8", "fp16")
    assert int8.source == same.source
    assert 0 < abs(int8.difference) < 3


def test_perplexity_by_its_definition(library: Library) -> None:
    """The decoder's logits of whole windows, and PyTorch's cross entropy."""
    import torch

    model = library.add("same", ROOKIE, "fp32")
    found = compare(model, TEXT, window=100)
    tokenizer = Tokenizer.load(ROOKIE)
    ids = tokenizer.encode_text(TEXT)
    windows = [tokenizer.with_bos(ids[start : start + 99]) for start in range(0, len(ids), 99)]
    loaded = load_model(ROOKIE, dtype="fp32")
    total = 0.0
    for window, hidden in zip(windows, Sequences(loaded, windows).run_alone(), strict=True):
        logits = torch.from_numpy(loaded.decoder.logits(hidden).copy()).double()
        loss = torch.nn.functional.cross_entropy(
            logits[:-1], torch.tensor(window[1:]), reduction="sum"
        )
        total += float(loss)
    count = sum(len(window) - 1 for window in windows)
    assert found.tokens == count
    assert found.packed == pytest.approx(math.exp(total / count), rel=1e-9)


def test_comparisons_that_are_refused(library: Library, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOKIE, source)
    model = library.add("mine", source, "int8")
    data = bytearray((source / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (source / "model.safetensors").write_bytes(data)
    with pytest.raises(ConfigurationError, match="has changed since: name it with --source"):
        compare(model, TEXT)
    shutil.rmtree(source)
    with pytest.raises(ConfigurationError, match="is not there any more: name it with --source"):
        compare(model, TEXT)
    assert compare(model, TEXT[:200], ROOKIE).tokens > 20
    other = write_checkpoint(tmp_path / "other", "llama")
    with pytest.raises(ConfigurationError, match="other is another model than the imported one"):
        compare(model, TEXT, other)
    with pytest.raises(ConfigurationError, match="the text is too short"):
        compare(model, "", ROOKIE)
    with pytest.raises(ConfigurationError, match="--window 4096 is more than the trained 2048"):
        compare(model, TEXT, ROOKIE, window=4096)
