"""A validated request to a stream of text: templates, limits, the engine, detokenization.

Knows the order of these steps; knows no HTTP, and of the engine only its intake and its events.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence

from homerun.engine.adapter_slots import NOTHING_HAPPENED
from homerun.engine.lane import StepStats
from homerun.engine.loop import Engine, Health
from homerun.engine.sequence import (
    AdapterRef,
    Ended,
    EngineRequest,
    Event,
    Failed,
    Produced,
    Started,
)
from homerun.errors import (
    AdapterUnavailable,
    BadInput,
    ContextOverflow,
    GenerationFailed,
    HomerunError,
    ModelNotHere,
    NoSuchModel,
    RequestAborted,
)
from homerun.metrics import Metrics
from homerun.service.adapters import AdapterService
from homerun.service.catalog import Catalog
from homerun.service.inbox import Inbox
from homerun.service.models import (
    ARITHMETIC_DIGITS,
    ServedModel,
    ServedModels,
    fetching_command,
)
from homerun.service.packed_adapters import PackedAdapters
from homerun.store.adapters import StoredAdapter
from homerun.text.conversation import join_raw
from homerun.text.detokenizer import Detokenizer
from homerun.types import (
    Finished,
    GenerateRequest,
    GenerationItem,
    Identity,
    TextDelta,
    Usage,
    Working,
)

logger = logging.getLogger(__name__)

WORKING_SECONDS = 5.0
"""Silence after which a generation says that it is still at it."""


class InferenceService:
    """All loaded models behind one door. Used from one event loop, that of its first request."""

    def __init__(
        self,
        models: ServedModels,
        metrics: Metrics,
        adapters: AdapterService,
        packed: PackedAdapters,
        *,
        max_queue: int,
    ) -> None:
        self._catalog: Catalog = models.catalog
        self._served = models.by_name
        self._metrics = metrics
        self._adapters = adapters
        self._packed = packed
        self._inboxes: dict[str, Inbox] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine = Engine(
            models.lanes, self._deliver, max_queue=max_queue, on_step=self._count_step
        )

    def open(self) -> None:
        """Starts the engine."""
        self._engine.start()

    def drain(self) -> None:
        """Takes no more requests; the present ones go on."""
        self._engine.drain()

    def close(self) -> None:
        """Ends whatever is left with an error and stops the engine. Waits for a running step."""
        self._engine.stop()

    def health(self, limit: float) -> Health:
        """The engine's own word; `limit` in seconds, see `Engine.health`."""
        return self._engine.health(limit)

    def report_load(self) -> None:
        """Brings the gauges of the metrics up to date."""
        for load in self._engine.load():
            self._metrics.load(
                load.model,
                running=load.running,
                waiting=load.waiting,
                free_blocks=load.free_blocks,
                total_blocks=load.total_blocks,
            )
            self._metrics.adapter_load(
                load.model,
                resident=load.adapters,
                resident_bytes=load.adapter_bytes,
                waiting=load.waiting_for_adapters,
            )

    async def start(
        self, request: GenerateRequest, identity: Identity, request_id: str
    ) -> "Generation":
        """Returns when the request has left the queue and its first step is planned.

        Raises a HomerunError for everything that can be wrong until then.
        """
        self._loop = asyncio.get_running_loop()
        served = self._find(request)
        adapter: AdapterRef | None = None
        if request.lora is not None:
            adapter = await self._find_adapter(request.lora, served, identity)
        prompt_ids = await asyncio.to_thread(_encode, request, served)
        if not prompt_ids:
            raise BadInput("the prompt has no tokens")
        total = len(prompt_ids) + request.max_tokens
        if total > served.window:
            raise ContextOverflow(total, served.window)
        seed = request.sampling.seed
        engine_request = EngineRequest(
            id=request_id,
            model=served.lane,
            prompt_ids=tuple(prompt_ids),
            max_tokens=request.max_tokens,
            sampling=request.sampling,
            seed=secrets.randbits(64) if seed is None else seed,
            stop_ids=served.stop_ids,
            rope_variant=int(total > served.trained_context),
            cache_scope=identity.account.encode(),
            adapter=adapter,
        )
        inbox = Inbox()
        self._inboxes[request_id] = inbox
        try:
            self._engine.submit(engine_request)
            event = await inbox.get()
            if isinstance(event, Failed):
                error = event.error
                if adapter is not None and isinstance(error, AdapterUnavailable) and error.damaged:
                    self._packed.discard(adapter)
                raise error
        except BaseException:
            self._forget(request_id)
            raise
        assert isinstance(event, Started)
        self._metrics.queued(served.name, event.queued_seconds)
        detokenizer = Detokenizer(served.tokenizer, continues_text=request.raw)
        return Generation(
            served,
            engine_request,
            inbox,
            detokenizer,
            queued_seconds=event.queued_seconds,
            forget=self._forget,
            metrics=self._metrics,
        )

    def _find(self, request: GenerateRequest) -> ServedModel:
        served = self._served.get(request.model)
        if served is None:
            known = self._catalog.get(request.model)
            if known is None:
                raise NoSuchModel(request.model)
            raise ModelNotHere(
                f"No such model {known.name} or task: its weights are not on this machine. "
                f"Fetch and serve them with: {fetching_command(known)} "
                f"(or start the server with --stand-in)"
            )
        return served

    async def _find_adapter(
        self, key: str, served: ServedModel, identity: Identity
    ) -> AdapterRef | None:
        """Raises what `AdapterService.resolve` and `PackedAdapters.reference` raise.

        None for an adapter of the model that is stood for: it fits no other.
        """
        adapter = self._adapters.resolve(identity.account, key, served.name, served.stand_in)
        if adapter.model != served.lane:
            return None
        base = self._served[served.lane].base
        return await asyncio.to_thread(self._packed.reference, adapter, base)

    def prepare(self, adapter: StoredAdapter) -> None:
        """Packs an adapter of a model that is served, so that its first request need not."""
        served = self._served.get(adapter.model)
        if served is None or served.stand_in is not None:
            return
        try:
            self._packed.reference(adapter, served.base)
        except Exception:
            # The upload is good; what is wrong is told to the first request, which tries again.
            logger.exception("adapter %s could not be packed", adapter.id)

    def _forget(self, request_id: str) -> None:
        """Ends the request wherever it is; harmless when it is over."""
        if self._inboxes.pop(request_id, None) is not None:
            self._engine.abort(request_id)

    def _deliver(self, events: Sequence[Event]) -> None:
        """Called on the engine's thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._sort, events)

    def _sort(self, events: Sequence[Event]) -> None:
        for event in events:
            # After its last event a request is nobody's to abort any more.
            is_last = isinstance(event, Ended | Failed)
            find = self._inboxes.pop if is_last else self._inboxes.get
            inbox = find(event.request_id, None)
            if inbox is not None:
                inbox.put(event)

    def _count_step(self, stats: StepStats) -> None:
        self._metrics.step(
            stats.model,
            seconds=stats.seconds,
            sequences=stats.sequences,
            preempted=stats.preempted,
            drafted=stats.drafted,
            accepted=stats.accepted,
        )
        if stats.adapters is not None and stats.adapters != NOTHING_HAPPENED:
            self._metrics.adapters(
                stats.model,
                load_seconds=stats.adapters.load_seconds,
                failures=stats.adapters.failures,
                evictions=stats.adapters.evictions,
                hits=stats.adapters.hits,
                misses=stats.adapters.misses,
            )


class Generation:
    """One accepted request. Iterate it once; `abort` it in any case when done with it."""

    def __init__(
        self,
        served: ServedModel,
        request: EngineRequest,
        inbox: Inbox,
        detokenizer: Detokenizer,
        *,
        queued_seconds: float,
        forget: Callable[[str], None],
        metrics: Metrics,
    ) -> None:
        self.model = served.name
        self.stand_in = served.stand_in
        """The model that really answers, if it is not `model`."""
        self.arithmetic = served.arithmetic
        """What decided the bytes of the answer, see `ServedModel.arithmetic`, and the adapter."""
        self.has_adapter = request.adapter is not None
        if request.adapter is not None:
            self.arithmetic += f"/{request.adapter.version[:ARITHMETIC_DIGITS]}"
        self.seed = request.seed
        self.queued_seconds = queued_seconds
        self.usage = Usage(len(request.prompt_ids), 0)
        """Counts of what was taken so far; exact once the iteration ended or failed by itself."""
        self._id = request.id
        self._inbox = inbox
        self._detokenizer = detokenizer
        self._forget = forget
        self._metrics = metrics

    def abort(self) -> None:
        """Stops the work on it within one step. Harmless afterwards."""
        self._forget(self._id)

    async def __aiter__(self) -> AsyncIterator[GenerationItem]:
        """Text as it comes, then Finished. Raises a HomerunError when it fails midway."""
        try:
            async for item in self._items():
                yield item
        except HomerunError:
            raise
        except Exception:
            logger.exception("request %s failed on its way out", self._id)
            self._metrics.cancelled("error")
            raise GenerationFailed from None
        finally:
            self.abort()

    async def _items(self) -> AsyncIterator[GenerationItem]:
        last: float | None = None
        while True:
            match await self._inbox.get(WORKING_SECONDS):
                case None:
                    yield Working()
                case Produced(token_ids=ids):
                    now = time.monotonic()
                    if last is not None:
                        for _ in ids:  # those of one event share its time
                            self._metrics.inter_token(self.model, (now - last) / len(ids))
                    last = now
                    self.usage = Usage(
                        self.usage.prompt_tokens, self.usage.completion_tokens + len(ids)
                    )
                    if text := self._detokenizer.push(ids):
                        yield TextDelta(text)
                case Ended(finish_reason=reason, usage=usage):
                    self.usage = usage
                    if text := self._detokenizer.finish():
                        yield TextDelta(text)
                    yield Finished(reason, usage)
                    return
                case Failed(error=error, usage=usage):
                    self.usage = usage
                    draining = isinstance(error, RequestAborted)
                    self._metrics.cancelled("drain" if draining else "error")
                    raise error
                case Started():
                    pass


def _encode(request: GenerateRequest, served: ServedModel) -> list[int]:
    """Token ids of the whole prompt. Raises BadInput, or GenerationFailed for a fault of ours."""
    try:
        if request.messages is not None:
            if request.raw:
                return served.tokenizer.encode_raw(join_raw(request.messages))
            return served.template.render(request.messages)
        assert request.prompt is not None
        if request.raw:
            return served.tokenizer.encode_raw(request.prompt)
        return served.template.render_prompt(request.prompt)
    except HomerunError:
        raise
    except Exception as error:
        logger.exception("a prompt could not be encoded")
        raise GenerationFailed from error
