"""Use cases of adapters: what a request may name, and uploads that come at the same time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path

import pytest

from homerun.errors import (
    AdapterIncompatible,
    AdapterInvalid,
    AdapterNotFound,
    AdapterNotReady,
    AdapterRefused,
    HomerunError,
    LoraUnsupported,
    NoSuchModel,
)
from homerun.model.config import read_config
from homerun.service.adapters import AdapterService
from homerun.service.catalog import Catalog
from homerun.settings import Settings
from homerun.store.adapters import ASSETS, AdapterState, AdapterStore, StoredAdapter
from tests.adapters import adapter_files

ROOKIE = "@homerun/rookie"
GEMMA = "@cf/google/gemma-2b-it-lora"
BASE = read_config(Path(str(files("homerun").joinpath("data", "rookie"))))
GOOD = adapter_files(BASE)


@pytest.fixture
def service(tmp_path: Path) -> AdapterService:
    settings = Settings(home=tmp_path)
    return AdapterService(AdapterStore(tmp_path), Catalog.load(), {ROOKIE: BASE}, settings)


def upload(
    service: AdapterService, key: str, asset: str, data: bytes, account: str = "local"
) -> StoredAdapter:
    adapter = service.open_upload(account, key)
    with service.new_file() as file:
        file.write(data)
        return service.finish_upload(adapter, asset, file)


def ready(service: AdapterService, name: str, *, public: bool = False) -> StoredAdapter:
    service.create("local", name, ROOKIE, public=public)
    return [upload(service, name, asset, GOOD[asset]) for asset in ASSETS][-1]


def test_a_check_that_was_killed_is_made_up_for(service: AdapterService, tmp_path: Path):
    """Both files were acknowledged, the verdict was not: the next start gives it."""
    bad = adapter_files(BASE, r=0)
    store = AdapterStore(tmp_path)
    for name, contents in (("good", GOOD), ("bad", bad)):
        adapter = service.create("local", name, ROOKIE)
        for asset in ASSETS:
            with store.new_file() as file:
                file.write(contents[asset])
                store.put(adapter.id, asset, file)
        with pytest.raises(AdapterNotReady, match="not checked yet"):
            service.resolve("local", name, ROOKIE)
    told: list[str] = []
    service.on_ready = lambda adapter: told.append(adapter.name)
    service.resume()
    assert service.resolve("local", "good", ROOKIE).state is AdapterState.READY
    with pytest.raises(AdapterNotReady, match="r must be"):
        service.resolve("local", "bad", ROOKIE)
    assert told == ["good"]


def test_a_request_names_an_adapter_by_id_or_name(service: AdapterService):
    adapter = ready(service, "mine")
    for key in ("mine", adapter.id):
        found = service.resolve("local", key, ROOKIE)
        assert (found.id, found.name, found.version) == (adapter.id, "mine", adapter.version)
        assert found.config_path.read_bytes() == GOOD[ASSETS[0]]
        assert found.weights_path.read_bytes() == GOOD[ASSETS[1]]
    public = ready(service, "homerun-public-x", public=True)
    assert service.resolve("other", "homerun-public-x", ROOKIE).id == public.id
    with pytest.raises(AdapterRefused, match="belongs to another account"):
        service.open_upload("other", "homerun-public-x")


def test_an_adapter_of_the_model_that_stands_in(service: AdapterService):
    adapter = ready(service, "mine")
    assert service.resolve("local", "mine", GEMMA, ROOKIE).id == adapter.id
    with pytest.raises(AdapterIncompatible, match=f"is for {ROOKIE}, not {GEMMA}"):
        service.resolve("local", "mine", GEMMA)
    with pytest.raises(LoraUnsupported):
        service.resolve("local", "mine", "@cf/meta/llama-2-7b-chat-int8", ROOKIE)


def new(service: AdapterService) -> None:
    service.create("local", "mine", ROOKIE)


def half(service: AdapterService) -> None:
    new(service)
    upload(service, "mine", ASSETS[1], GOOD[ASSETS[1]])


def failed(service: AdapterService) -> None:
    half(service)
    with pytest.raises(AdapterInvalid):
        upload(service, "mine", ASSETS[0], b"{}")


def killed_before_the_check(service: AdapterService) -> None:
    half(service)
    adapter = service.get("local", "mine")
    with service.new_file() as file:
        file.write(GOOD[ASSETS[0]])
        service._store.put(adapter.id, ASSETS[0], file)


def of_another_account(service: AdapterService) -> None:
    service.create("other", "mine", ROOKIE)


@pytest.mark.parametrize(
    ("before", "model", "error", "told"),
    [
        (lambda service: None, ROOKIE, AdapterNotFound, "Finetune mine not found"),
        (of_another_account, ROOKIE, AdapterNotFound, "Finetune mine not found"),
        (new, GEMMA, AdapterIncompatible, f"is for {ROOKIE}, not {GEMMA}"),
        (new, "@cf/meta/llama-2-7b-chat-int8", LoraUnsupported, "does not support LoRA"),
        (new, "@cf/no/model", NoSuchModel, "@cf/no/model"),
        (new, ROOKIE, AdapterNotReady, rf"missing required files \({ASSETS[0]} and {ASSETS[1]}\)"),
        (half, ROOKIE, AdapterNotReady, rf"missing required files \({ASSETS[0]}\)"),
        (failed, ROOKIE, AdapterNotReady, "cannot be used: adapter_config.json: peft_type is"),
        (killed_before_the_check, ROOKIE, AdapterNotReady, "is not checked yet.*upload .* again"),
    ],
)
def test_what_a_request_cannot_name(
    before: Callable[[AdapterService], None],
    model: str,
    error: type[HomerunError],
    told: str,
    service: AdapterService,
):
    before(service)
    with pytest.raises(error, match=told):
        service.resolve("local", "mine", model)


def test_an_upload_that_was_killed_before_its_check_is_done_again(service: AdapterService):
    killed_before_the_check(service)
    assert upload(service, "mine", ASSETS[1], GOOD[ASSETS[1]]).state is AdapterState.READY


def test_uploads_at_the_same_time_end_ready_or_say_why(service: AdapterService, tmp_path: Path):
    service.create("local", "mine", ROOKIE)

    def send(number: int) -> str:
        try:
            data = adapter_files(BASE, seed=number)
            return upload(service, "mine", ASSETS[number % 2], data[ASSETS[number % 2]]).state
        except AdapterRefused as error:  # another one was ready first
            return str(error)

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(send, range(16)))
    adapter = service.resolve("local", "mine", ROOKIE)
    assert "ready" in said
    assert all(one in ("ready", "uploading") or "cannot be edited" in one for one in said)
    kept = {asset.path.name for asset in adapter.assets.values()}
    assert {path.name for path in (tmp_path / "adapters").iterdir()} == kept


def test_an_adapter_that_is_deleted_while_it_is_uploaded(service: AdapterService, tmp_path: Path):
    service.create("local", "mine", ROOKIE)
    adapter = service.open_upload("local", "mine")
    with service.new_file() as file:
        file.write(GOOD[ASSETS[0]])
        service.delete("local", "mine")
        with pytest.raises(AdapterNotFound):
            service.finish_upload(adapter, ASSETS[0], file)
    assert list((tmp_path / "adapters").iterdir()) == []


def test_shapes_of_all_models_with_lora_are_known():
    for model in Catalog.load():
        assert (model.shape is not None) is (model.bundled is None), model.name
