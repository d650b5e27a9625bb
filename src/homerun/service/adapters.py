"""Use cases of LoRA adapters: make one, upload its two files, find it for a request, delete it.

Knows the rules of names, bases and states; knows no HTTP, no SQL and none of an adapter's maths.
"""

import logging
import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from homerun.errors import (
    AdapterIncompatible,
    AdapterInvalid,
    AdapterNotFound,
    AdapterNotReady,
    AdapterRefused,
    BadInput,
    HomerunError,
    LoraUnsupported,
    RequestTooLarge,
)
from homerun.model import adapter_config
from homerun.model.adapter_checkpoint import AdapterCheckpoint, AdapterLimits
from homerun.model.adapter_config import CONFIG_FILE
from homerun.model.config import ModelConfig
from homerun.model.shapes import known_config
from homerun.service.catalog import Catalog
from homerun.settings import Settings
from homerun.store.adapter_files import NewFile
from homerun.store.adapters import (
    ASSETS,
    PUBLIC_PREFIX,
    AdapterState,
    AdapterStore,
    Lease,
    StoredAdapter,
)

logger = logging.getLogger(__name__)

MAX_NAME = 100
MAX_DESCRIPTION = 1000
_RESERVED_PREFIX = "cf-public-"
"""Cloudflare's own public adapters: a name here must not mean something else there."""
_NAME = re.compile(r"(?!\.)[^/\\?#%\x00-\x20](?:[^/\\?#%]*[^/\\?#%\s])?")
"""One segment of a path that no client rewrites."""
_ROUTE = "public"
"""A name that is a path of its own."""


class AdapterService:
    """All adapters of one server, or of the command line. Usable from any thread."""

    def __init__(
        self,
        store: AdapterStore,
        catalog: Catalog,
        served: Mapping[str, ModelConfig],
        settings: Settings,
    ) -> None:
        """`served`: configs of the models that are loaded, by name; they win over the catalog."""
        self._store = store
        self._catalog = catalog
        self._served = served
        self._limits = AdapterLimits(settings.adapter_rank, settings.adapter_limit)
        self._max_adapters = settings.max_adapters
        self.on_ready: Callable[[StoredAdapter], None] = lambda _: None
        """Called with an adapter that an upload has just made ready, before it is answered."""

    def create(
        self, account: str, name: str, model: str, description: str = "", *, public: bool = False
    ) -> StoredAdapter:
        """A new adapter without files. Raises BadInput, AdapterRefused, NoSuchModel, NoRoute,
        InvalidModelName and LoraUnsupported.
        """
        _check_name(name, public=public)
        if len(description) > MAX_DESCRIPTION:
            raise BadInput(f"Length of '/description' must be <= {MAX_DESCRIPTION}")
        self._base(model)
        return self._store.create(
            account, name, model, description, public=public, limit=self._max_adapters
        )

    def get(self, account: str, key: str) -> StoredAdapter:
        """By id or name, the account's own or a public one. Raises AdapterNotFound."""
        return self._store.get(account, key)

    def all(self, account: str) -> list[StoredAdapter]:
        """The account's own, oldest first."""
        return self._store.all(account)

    def public(self) -> list[StoredAdapter]:
        """Those that every account may use: what comes with homerun, then the oldest first."""
        return self._store.public()

    def delete(self, account: str, key: str) -> StoredAdapter:
        """Requests that run finish; new ones do not find it.

        Raises AdapterNotFound, and AdapterRefused for one that comes with homerun.
        """
        return self._store.delete(account, key)

    # Uploads.

    def asset_limit(self, asset: str | None) -> int:
        """Most bytes of a file, of either where its name is not known yet."""
        return adapter_config.SIZE_LIMIT if asset == CONFIG_FILE else self._limits.file_bytes

    def open_upload(self, account: str, key: str) -> StoredAdapter:
        """The adapter whose files the account may bring. Raises AdapterNotFound, AdapterRefused."""
        adapter = self._store.get(account, key)
        if adapter.account != account:
            raise AdapterRefused(f"Finetune {adapter.name} belongs to another account")
        if adapter.state is AdapterState.READY:
            raise AdapterRefused(
                f"Finetune {adapter.name} is ready, and its assets cannot be edited: "
                "create another finetune"
            )
        return adapter

    def new_file(self) -> AbstractContextManager[NewFile]:
        """Where an upload is written to; gone at the end unless it is kept. Raises StorageFull."""
        return self._store.new_file()

    def finish_upload(self, adapter: StoredAdapter, asset: str, file: NewFile) -> StoredAdapter:
        """Keeps an uploaded file; with the second one the adapter is checked and ready.

        Reads up to the whole file. Raises what `open_upload` raises, RequestTooLarge, StorageFull,
        and AdapterInvalid or AdapterIncompatible, after which the adapter is failed and says why.
        """
        check_asset_name(asset)
        limit = self.asset_limit(asset)
        if file.size > limit:
            raise RequestTooLarge(f"{asset} has {file.size} bytes, over the limit of {limit}")
        base = self._base(adapter.model)
        adapter = self._store.put(adapter.id, asset, file)
        return self._check(adapter, base) if adapter.complete else adapter

    def _check(self, adapter: StoredAdapter, base: ModelConfig) -> StoredAdapter:
        """The verdict on an adapter with both files; raises what `finish_upload` does."""
        try:
            lease = self._store.hold(adapter)
        except AdapterNotFound:  # another upload came between, and will be checked in its turn
            return self._store.get(adapter.account, adapter.id)
        try:
            AdapterCheckpoint.open(adapter.config_path, adapter.weights_path, base, self._limits)
        except (AdapterInvalid, AdapterIncompatible) as error:
            self._store.settle(adapter, reason=str(error))
            raise
        finally:
            lease.close()
        adapter = self._store.settle(adapter, reason=None)
        if adapter.state is AdapterState.READY:
            self.on_ready(adapter)
        return adapter

    # Requests.

    def resolve(
        self, account: str, key: str, model: str, stand_in: str | None = None
    ) -> StoredAdapter:
        """The adapter that a request for `model` names by id or name.

        It is for `model`, or for the model that stands in for it. Raises LoraUnsupported,
        AdapterNotFound, AdapterIncompatible for one of another model, and AdapterNotReady with
        the reason.
        """
        entry = self._catalog.find(model)
        if not entry.lora:
            raise LoraUnsupported(model)
        adapter = self._store.get(account, key)
        if adapter.model not in (model, stand_in):
            raise AdapterIncompatible(
                f"Lora not compatible with model: finetune {adapter.name} is for {adapter.model}, "
                f"not {model}"
            )
        if adapter.state is AdapterState.FAILED:
            raise AdapterNotReady(f"Finetune {adapter.name} cannot be used: {adapter.reason}")
        missing = [name for name in ASSETS if name not in adapter.assets]
        if missing:
            raise AdapterNotReady(
                f"Finetune {adapter.name} is missing required files ({' and '.join(missing)})"
            )
        if adapter.state is not AdapterState.READY:
            raise AdapterNotReady(
                f"Finetune {adapter.name} is not checked yet; if that lasts, its check was "
                f"interrupted: upload {ASSETS[1]} again, or restart the server"
            )
        return adapter

    def hold(self, adapter: StoredAdapter) -> Lease:
        """Keeps a resolved adapter's files, also when it is deleted. Raises AdapterNotFound."""
        return self._store.hold(adapter)

    def sweep(self) -> None:
        """Removes what uploads that were killed left behind."""
        self._store.sweep()

    def resume(self) -> None:
        """Checks adapters whose process was killed between their second file and the verdict.

        Reads their files. Another process that checks one of them comes to the same verdict.
        """
        for adapter in self._store.unsettled():
            try:
                self._check(adapter, self._base(adapter.model))
            except HomerunError as error:
                logger.warning("finetune %s: %s", adapter.id, error)

    def _base(self, model: str) -> ModelConfig:
        """What adapters of `model` must fit.

        Raises LoraUnsupported, NoSuchModel, NoRoute or InvalidModelName.
        """
        entry = self._catalog.find(model)
        if not entry.lora:
            raise LoraUnsupported(model)
        if model in self._served:
            return self._served[model]
        if entry.shape is None:
            raise AdapterRefused(f"{model} is not served here, and its shape is not known")
        return known_config(entry.shape)


def check_asset_name(asset: str) -> None:
    """Raises BadInput for all but the two names."""
    if asset not in ASSETS:
        shown = asset if len(asset) <= 64 else asset[:64] + "…"
        raise BadInput(f"enum {shown} not in {','.join(ASSETS)} at '/file_name'")


def _check_name(name: str, *, public: bool) -> None:
    """Raises BadInput for what cannot be a name, AdapterRefused for one that is reserved."""
    if len(name) > MAX_NAME:
        raise BadInput(f"Length of '/name' must be <= {MAX_NAME}")
    if not (name.isprintable() and _NAME.fullmatch(name)) or name == _ROUTE or _is_uuid(name):
        raise BadInput(
            "'/name' must be printable, without '/', '\\', '?', '#' or '%', no dot or space first, "
            "no space last, no UUID and not 'public'"
        )
    if name.lower().startswith(_RESERVED_PREFIX):
        raise AdapterRefused(f"Names that begin with {_RESERVED_PREFIX} are reserved")
    if public != name.startswith(PUBLIC_PREFIX):
        raise AdapterRefused(
            f"Names of public finetunes begin with {PUBLIC_PREFIX}, and only theirs do"
        )


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
