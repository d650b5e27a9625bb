"""`homerun run`: one prompt and its answer on the terminal, through a running server if any."""

import asyncio
import queue
import sys
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from homerun.cli.client import Client, ServerError
from homerun.cli.terminal import print_stream
from homerun.errors import BadInput, HomerunError
from homerun.settings import Settings

NOT_TEXT = "the prompt is not text in UTF-8"


def run(model: str, prompt: str | None, options: dict[str, Any], settings: Settings) -> None:
    """Prints the answer. Raises HomerunError.

    `options`: `system` and fields of the native request (`max_tokens`, `temperature`, …).
    """
    text = _prompt(prompt)
    system = options.pop("system", None)
    for given in (text, system or ""):
        if any("\ud800" <= character <= "\udfff" for character in given):
            raise BadInput(NOT_TEXT)
    body: dict[str, Any] = {"prompt": text, **options}
    if system is not None:
        del body["prompt"]
        body["messages"] = [
            {"role": "system", "content": system},
            {"role": "user", "content": text},
        ]
    client = Client(settings.host, settings.port, settings.token)
    # NAME=PATH asks for a checkpoint of this machine, which no server needs to know.
    if "=" not in model and client.alive():
        events = client.stream(model, body, settings.account)
        print_stream(event.get("response") or "" for event in events)
    else:
        print_stream(_in_process(model, body, settings))


def _prompt(argument: str | None) -> str:
    try:
        piped = "" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read().strip()
    except UnicodeDecodeError:
        raise BadInput(NOT_TEXT) from None
    parts = [part for part in (argument, piped) if part]
    if not parts:
        raise BadInput('nothing to say: homerun run MODEL "prompt", or pipe a prompt in')
    return "\n\n".join(parts)


def _in_process(model: str, body: dict[str, Any], settings: Settings) -> Iterator[str]:
    """Loads the model here and streams from it: the same path as a request, without HTTP."""
    deltas: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()

    async def generate() -> None:
        from homerun import __version__
        from homerun.api.validation import parse_request
        from homerun.metrics import Metrics
        from homerun.native import arithmetic, warning
        from homerun.service.adapters import AdapterService
        from homerun.service.inference import InferenceService
        from homerun.service.models import ModelSpec, load_models
        from homerun.service.packed_adapters import PackedAdapters
        from homerun.store.bundled_adapters import open_adapter_store
        from homerun.types import Identity, TextDelta

        spec = ModelSpec.parse(model)
        models = load_models([spec], settings)
        if note := warning() or (sys.stderr.isatty() and f"answering here ({arithmetic()})"):
            print(f"homerun: {note}", file=sys.stderr)
        store = open_adapter_store(settings.home)
        adapters = AdapterService(store, models.catalog, models.bases, settings)
        packed = PackedAdapters(store, settings.home, grace=settings.queue_timeout + 60)
        service = InferenceService(models, Metrics(__version__), adapters, packed, max_queue=1)
        service.open()
        try:
            import msgspec

            parsed = parse_request(msgspec.json.encode(body), models.catalog.find(spec.name))
            identity = Identity("local")
            generation = await service.start(parsed.request, identity, str(uuid.uuid4()))
            async for item in generation:
                if isinstance(item, TextDelta):
                    deltas.put(item.text)
        finally:
            service.close()

    def work() -> None:
        try:
            asyncio.run(generate())
            deltas.put(None)
        except Exception as error:
            deltas.put(error)

    threading.Thread(target=work, daemon=True).start()
    while (delta := deltas.get()) is not None:
        if isinstance(delta, HomerunError):
            raise delta
        if isinstance(delta, Exception):
            raise ServerError(f"{type(delta).__name__}: {delta}") from delta
        yield delta
