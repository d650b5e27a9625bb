"""`homerun serve`: puts the server together. Knows which part needs which, and start-up's order."""

import logging
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from homerun import __version__
from homerun.api.app import create_app
from homerun.api.server import bind
from homerun.api.server import serve as serve_app
from homerun.api.state import AppState
from homerun.logs import configure_logging
from homerun.metrics import Metrics
from homerun.native import arithmetic, instruction_set, require_native, warning
from homerun.service.adapters import AdapterService
from homerun.service.inference import InferenceService
from homerun.service.models import ROOKIE, ModelSpec, load_models
from homerun.service.packed_adapters import PackedAdapters
from homerun.settings import Settings
from homerun.store.bundled_adapters import open_adapter_store
from homerun.store.tokens import open_token_store

logger = logging.getLogger(__name__)

UPLOAD_THREADS = 2
"""Of their own, so that large uploads keep no prompt waiting."""


def serve(specs: Sequence[str], settings: Settings) -> None:
    """Runs until it is told to stop. Raises HomerunError in plain words when it cannot start."""
    began = time.monotonic()
    configure_logging(settings.log_level, secrets=[settings.token] if settings.token else [])
    require_native(settings.require_native)
    wanted = [ModelSpec.parse(text) for text in specs or [ROOKIE]]
    tokens = open_token_store(settings)
    listener = bind(settings, tokens)
    models = load_models(wanted, settings)
    metrics = Metrics(__version__, models.by_name, instruction_set=instruction_set())
    store = open_adapter_store(settings.home, tokens.database if tokens else None)
    adapters = AdapterService(store, models.catalog, models.bases, settings)
    adapters.sweep()
    packed = PackedAdapters(store, settings.home, grace=settings.queue_timeout + 60)
    packed.sweep(grace=0)
    inference = InferenceService(models, metrics, adapters, packed, max_queue=settings.max_queue)
    adapters.on_ready = inference.prepare
    uploads = ThreadPoolExecutor(UPLOAD_THREADS, "upload")
    uploads.submit(adapters.resume)
    state = AppState(
        settings=settings,
        catalog=models.catalog,
        inference=inference,
        tokens=tokens,
        health=lambda: inference.health(settings.heartbeat_limit),
        models=tuple(models.by_name),
        metrics=metrics,
        adapters=adapters,
        upload_threads=uploads,
    )
    inference.open()
    if note := warning():
        print(f"homerun: {note}", file=sys.stderr)

    def on_ready(address: str) -> None:
        seconds = time.monotonic() - began
        print(f"homerun {__version__} on {address}, ready in {seconds:.1f} s ({arithmetic()})")
        for one in models.by_name.values():
            note = " (rookie stands in)" if one.stand_in else ""
            print(f"  {one.name}  {one.window:,} tokens{note}")
        sys.stdout.flush()

    serve_app(
        create_app(state),
        listener,
        on_ready=on_ready,
        on_drain=inference.drain,
        on_stop=inference.close,
    )
