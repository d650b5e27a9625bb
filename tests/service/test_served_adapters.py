"""From an upload to an answer: packed once, found by name or id, never stale, never in the way."""

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from homerun.errors import (
    AdapterIncompatible,
    AdapterNotFound,
    AdapterUnavailable,
    LoraUnsupported,
    StorageFull,
)
from homerun.metrics import Metrics
from homerun.model.adapter_checkpoint import AdapterCheckpoint, AdapterLimits
from homerun.model.config import read_config
from homerun.service.adapters import AdapterService
from homerun.service.catalog import Catalog
from homerun.service.inference import InferenceService
from homerun.service.models import (
    ROOKIE,
    ModelSpec,
    ServedModels,
    checkpoint_directory,
    load_models,
)
from homerun.service.packed_adapters import PackedAdapters
from homerun.settings import Settings
from homerun.store.adapters import AdapterStore
from homerun.store.bundled_adapters import open_adapter_store
from homerun.types import Finished, GenerateRequest, Identity, SamplingParams, TextDelta
from tests.adapters import adapter_files

BASE = read_config(checkpoint_directory(ModelSpec(ROOKIE), Catalog.load().get(ROOKIE)))
LORA_MODEL = "@cf/meta-llama/llama-2-7b-chat-hf-lora"
ME = "local"
LONG = "Tell me a story about a dog and a cat who went to the sea. " * 4
ASK = GenerateRequest(
    model=ROOKIE, prompt=LONG, max_tokens=12, sampling=SamplingParams(temperature=0.0, seed=1)
)
ids = (f"request-{i}" for i in count())


class Server:
    """Everything of a server but HTTP."""

    def __init__(self, home: Path, models: ServedModels, **changes: Any) -> None:
        self.settings = Settings.from_environment({}, home=home, **changes)
        self.store = open_adapter_store(home)
        self.adapters = AdapterService(self.store, models.catalog, models.bases, self.settings)
        self.packed = PackedAdapters(self.store, home, grace=60)
        self.metrics = Metrics("test", models.by_name)
        self.inference = InferenceService(
            models, self.metrics, self.adapters, self.packed, max_queue=99
        )
        self.adapters.on_ready = self.inference.prepare

    def upload(self, name: str, account: str = ME, **content: Any) -> str:
        """The id of a new adapter."""
        files = adapter_files(BASE, lora_alpha=64, **content)
        adapter = self.adapters.create(account, name, ROOKIE)
        for asset, data in files.items():
            with self.adapters.new_file() as file:
                file.write(data)
                adapter = self.adapters.finish_upload(adapter, asset, file)
        return adapter.id

    def packed_files(self) -> list[Path]:
        root = self.settings.home / "packed-adapters"
        return sorted(root.iterdir()) if root.is_dir() else []

    async def ask(
        self, lora: str | None, account: str = ME, model: str = ROOKIE
    ) -> tuple[str, Finished]:
        wanted = replace(ASK, lora=lora, model=model)
        generation = await self.inference.start(wanted, Identity(account), next(ids))
        text = ""
        async for item in generation:
            if isinstance(item, TextDelta):
                text += item.text
            elif isinstance(item, Finished):
                return text, item
        raise AssertionError

    def answer(
        self, lora: str | None, account: str = ME, model: str = ROOKIE
    ) -> tuple[str, Finished]:
        async def once() -> tuple[str, Finished]:
            return await self.ask(lora, account, model)

        return asyncio.run(once())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def make(**changes: Any) -> Server:
        models = load_models([ModelSpec(ROOKIE)], Settings.from_environment({}, **changes))
        server = Server(tmp_path, models, **changes)
        server.inference.open()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.inference.close()


def test_by_name_and_by_id_beside_the_base_model(served: Callable[..., Server]) -> None:
    server = served()
    one, two = server.upload("one", seed=1), server.upload("two", seed=2, rank=8)
    assert len(server.packed_files()) == 2, "packed when they were uploaded"

    async def together() -> list[tuple[str, Finished]]:
        return await asyncio.gather(*map(server.ask, (None, "one", one, "two", two, None)))

    texts = [text for text, _ in asyncio.run(together())]
    assert texts[0] == texts[5] == server.answer(None)[0]
    assert texts[1] == texts[2] == server.answer("one")[0]
    assert texts[3] == texts[4] == server.answer("two")[0]
    assert len(set(texts)) == 3
    server.inference.report_load()
    metrics = server.metrics.render().decode()
    assert f'homerun_adapters{{model="{ROOKIE}"}} 2.0' in metrics
    assert f'homerun_adapter_loads_total{{model="{ROOKIE}",outcome="loaded"}} 2.0' in metrics


def test_the_arithmetic_names_the_adapter(served: Callable[..., Server]) -> None:
    server = served()
    server.upload("one", seed=1)
    server.upload("again", seed=1)
    server.upload("two", seed=2)

    async def said(lora: str | None) -> str:
        generation = await server.inference.start(replace(ASK, lora=lora), Identity(ME), next(ids))
        generation.abort()
        return generation.arithmetic

    base, one, again, two = (asyncio.run(said(name)) for name in (None, "one", "again", "two"))
    assert one == again != two
    assert one.startswith(f"{base}/")


def test_a_name_that_comes_again_with_other_weights_is_never_stale(
    served: Callable[..., Server],
) -> None:
    server = served()
    server.upload("mine", seed=1)
    first, cached = server.answer("mine")[0], server.answer("mine")[1]
    assert cached.usage.cached_tokens > 0
    server.adapters.delete(ME, "mine")
    with pytest.raises(AdapterNotFound):
        server.answer("mine")
    server.upload("mine", seed=2)
    second, fresh = server.answer("mine")
    assert fresh.usage.cached_tokens == 0
    assert second != first
    server.adapters.delete(ME, "mine")
    server.upload("mine", seed=1)
    assert server.answer("mine")[0] == first


def test_an_upload_beside_running_streams_changes_none_of_them(
    served: Callable[..., Server],
) -> None:
    server = served(adapter_memory=300_000)  # room for some of the five
    for seed in range(4):
        server.upload(f"a{seed}", seed=seed, rank=16)
    names = [None, "a0", "a1", "a2", "a3", None, "a0", "a1"]
    alone = [server.answer(name)[0] for name in names]

    async def scenario() -> tuple[list[str], str]:
        streams = [asyncio.create_task(server.ask(name)) for name in names]
        await asyncio.to_thread(server.upload, "new", seed=9)
        new = await server.ask("new")
        return [(await one)[0] for one in streams], new[0]

    together, new = asyncio.run(scenario())
    assert together == alone
    assert new not in alone


def test_accounts_share_a_file_and_nothing_else(served: Callable[..., Server]) -> None:
    server = served()
    server.upload("mine", seed=1)
    server.upload("theirs", account="other", seed=1)
    assert len(server.packed_files()) == 1
    first = server.answer("mine")
    other = server.answer("theirs", "other")
    assert other[0] == first[0]
    assert other[1].usage.cached_tokens == 0
    with pytest.raises(AdapterNotFound):
        server.answer("theirs")


def test_deleting_one_that_is_used_disturbs_nobody(served: Callable[..., Server]) -> None:
    server = served()
    server.upload("mine", seed=1)
    expected = server.answer("mine")[0]

    async def scenario() -> str:
        generation = await server.inference.start(
            replace(ASK, lora="mine"), Identity(ME), next(ids)
        )
        server.adapters.delete(ME, "mine")
        server.packed.sweep(grace=0)
        assert not server.packed_files()
        with pytest.raises(AdapterNotFound):
            await server.ask("mine")
        return "".join([item.text async for item in generation if isinstance(item, TextDelta)])

    assert asyncio.run(scenario()) == expected


def test_a_damaged_packed_file_fails_one_request_and_is_made_again(
    served: Callable[..., Server],
) -> None:
    server = served()
    server.upload("mine", seed=1)
    (path,) = server.packed_files()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\1")
    base = server.answer(None)[0]
    with pytest.raises(AdapterUnavailable, match="damaged"):
        server.answer("mine")
    assert server.answer("mine")[0] != base
    assert path.read_bytes() == whole


def test_a_full_disk_is_told_and_leaves_nothing(
    served: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = served()
    server.adapters.on_ready = lambda _: None  # packed by its first request
    server.upload("mine", seed=1)

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StorageFull):
            server.answer("mine")
    assert server.packed_files() == []
    assert server.answer("mine")[0] != server.answer(None)[0]


def test_files_of_deleted_adapters_go_after_a_while(tmp_path: Path) -> None:
    now = [0.0]
    store = AdapterStore(tmp_path)
    packed = PackedAdapters(store, tmp_path, grace=60, clock=lambda: now[0])
    packed.sweep()
    root = tmp_path / "packed-adapters"
    root.mkdir()
    of_a_killed, of_another = ".00ff-16-x.1-2.partial", ".00ff-16-x.3-4.partial"
    for name in ("00ff-16-x", of_a_killed, of_another):
        (root / name).write_bytes(b"")
    os.utime(root / of_a_killed, (0, 0))
    for at, left in ((0.0, 3), (59.0, 3), (60.0, 1)):
        now[0] = at
        packed.sweep()
        assert len(list(root.iterdir())) == left
    assert (root / of_another).exists(), "another server is writing it"


def test_a_start_without_adapters_opens_no_database(tmp_path: Path) -> None:
    store = AdapterStore(tmp_path)
    store.sweep()
    PackedAdapters(store, tmp_path, grace=0).sweep()
    assert list(tmp_path.iterdir()) == []


def test_an_adapter_beyond_the_budget_is_refused_with_the_setting(
    served: Callable[..., Server],
) -> None:
    server = served(adapter_memory=1000)
    server.upload("mine", seed=1)
    with pytest.raises(AdapterUnavailable, match="HOMERUN_ADAPTER_MEMORY allows 1000"):
        server.answer("mine")
    assert len(server.packed_files()) == 1, "it is not to blame"


# What comes with homerun.


def test_adapters_of_the_package_answer_every_account(served: Callable[..., Server]) -> None:
    server = served()
    bundled = server.adapters.public()
    texts = {server.answer(one.name, account)[0] for one in bundled for account in (ME, "other")}
    assert len(texts) == len(bundled) == 2
    assert server.answer(None)[0] not in texts
    assert server.answer(bundled[0].id)[0] in texts
    server.packed.sweep(grace=0)
    assert len(server.packed_files()) == 2, "they stay packed"


def test_adapters_of_the_package_fit_and_are_within_the_default_limits() -> None:
    settings = Settings()
    limits = AdapterLimits(settings.adapter_rank, settings.adapter_limit)
    for one in open_adapter_store(Path("/nonexistent")).public():
        checkpoint = AdapterCheckpoint.open(one.config_path, one.weights_path, BASE, limits)
        assert {factor.rank for factor in checkpoint.factors.values()} == {8}


def test_a_stand_in_applies_adapters_of_its_own(served: Callable[..., Server]) -> None:
    server = served(stand_in=True)
    server.upload("mine", seed=1)
    for name in ("mine", "homerun-public-pirate"):
        own = server.answer(name)
        assert server.answer(name, model=LORA_MODEL)[0] == own[0] != server.answer(None)[0]
        with pytest.raises(LoraUnsupported):
            server.answer(name, model="@cf/meta/llama-2-7b-chat-int8")
    theirs = server.adapters.create(ME, "theirs", LORA_MODEL)
    with pytest.raises(AdapterIncompatible):
        server.answer(theirs.name)
