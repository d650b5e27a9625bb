"""`homerun adapters`: the stored LoRA adapters of this machine, also while a server runs."""

import json
import shlex
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from homerun.api.finetunes import finetune_object
from homerun.cli.terminal import print_table, safe
from homerun.errors import ConfigurationError
from homerun.model.memory import gigabytes
from homerun.service.adapters import AdapterService
from homerun.service.catalog import Catalog
from homerun.service.models import ModelSpec, find_base
from homerun.settings import Settings
from homerun.store.adapters import ASSETS, StoredAdapter
from homerun.store.bundled_adapters import open_adapter_store

_COPIED_BYTES = 1 << 20


def add(
    name: str,
    model: str,
    sources: Sequence[Path],
    description: str,
    public: bool,
    settings: Settings,
) -> None:
    """Copies, checks and keeps an adapter; one that is refused leaves nothing behind."""
    paths = _asset_paths(sources)
    entry, base = find_base(ModelSpec.parse(model), settings.home)
    catalog = Catalog.load().plus([entry])
    store = open_adapter_store(settings.home)
    service = AdapterService(store, catalog, {entry.name: base}, settings)
    account = settings.account
    adapter = service.create(account, name, entry.name, description, public=public)
    try:
        for asset, path in paths.items():
            with path.open("rb") as source, service.new_file() as file:
                while piece := source.read(_COPIED_BYTES):
                    file.write(piece)
                adapter = service.finish_upload(adapter, asset, file)
    except BaseException:
        service.delete(account, adapter.id)
        raise
    print(f"{name} is ready: {adapter.id}, {_size(adapter)} for {entry.name}")
    print("Use it with: " + shlex.join(["homerun", "run", entry.name, "--lora", name, "Hello"]))


def show_all(settings: Settings, *, public: bool, as_json: bool) -> None:
    """Prints every adapter of the account, or those that all accounts may use."""
    service = _service(settings)
    adapters = service.public() if public else service.all(settings.account)
    if as_json:
        print(json.dumps([finetune_object(one) for one in adapters], indent=2))
        return
    if not adapters:
        print(
            "No adapters. homerun adapters add NAME --model MODEL DIR adds one; "
            "homerun adapters list --public shows those for all."
        )
        return
    rows = [("NAME", "STATE", "SIZE", "MODEL", "MODIFIED", "ID")]
    rows += [
        (one.name, one.state.value, _size(one), one.model, _minute(one.modified_at), one.id)
        for one in adapters
    ]
    print_table(rows)


def show_one(name: str, settings: Settings, *, as_json: bool) -> None:
    """Prints what is known of one adapter."""
    adapter = _service(settings).get(settings.account, name)
    fields = finetune_object(adapter)
    if as_json:
        print(json.dumps(fields, indent=2))
        return
    for field, value in fields.items():
        print(f"{field:12} {'' if value is None else safe(str(value))}".rstrip())
    for asset, kept in adapter.assets.items():
        print(f"{asset}  {kept.size:,} bytes, SHA-256 {kept.sha256.hex()}")


def remove(name: str, settings: Settings) -> None:
    """Deletes an adapter, for running servers too."""
    adapter = _service(settings).delete(settings.account, name)
    print(f"{adapter.name} ({adapter.id}) is deleted.")


def export(name: str, directory: Path, settings: Settings) -> None:
    """Copies both files into `directory`, which is made; overwrites nothing."""
    service = _service(settings)
    adapter = service.get(settings.account, name)
    if not adapter.complete:
        raise ConfigurationError(f"{adapter.name} has not got both its files")
    lease = service.hold(adapter)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for asset, kept in adapter.assets.items():
            try:
                with kept.path.open("rb") as source, (directory / asset).open("xb") as target:
                    shutil.copyfileobj(source, target, _COPIED_BYTES)
            except FileExistsError:
                raise ConfigurationError(f"{directory / asset} exists already") from None
    finally:
        lease.close()
    print(f"{adapter.name} is in {directory}")


def _service(settings: Settings) -> AdapterService:
    return AdapterService(open_adapter_store(settings.home), Catalog.load(), {}, settings)


def _asset_paths(sources: Sequence[Path]) -> dict[str, Path]:
    """The config first, so that it is not the large file that is copied for nothing.

    Raises ConfigurationError.
    """
    if len(sources) == 1 and sources[0].is_dir():
        return {asset: sources[0] / asset for asset in ASSETS}
    by_suffix = {path.suffix: path for path in sources}
    paths = {asset: by_suffix.get(Path(asset).suffix) for asset in ASSETS}
    if len(sources) != len(ASSETS) or None in paths.values():
        raise ConfigurationError(
            f"give a directory with {' and '.join(ASSETS)}, or a .json and a .safetensors file"
        )
    return {asset: path for asset, path in paths.items() if path is not None}


def _size(adapter: StoredAdapter) -> str:
    return gigabytes(sum(asset.size for asset in adapter.assets.values()))


def _minute(milliseconds: int) -> str:
    """Local time."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(milliseconds / 1000))
