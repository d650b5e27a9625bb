"""A stand-in for the inference service: answers at once, or as slowly as a test wants."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from homerun.api.state import AppState
from homerun.errors import RequestAborted
from homerun.metrics import Metrics
from homerun.service.adapters import AdapterService
from homerun.service.catalog import Catalog
from homerun.settings import Settings
from homerun.store.adapters import AdapterStore
from homerun.store.tokens import TokenStore
from homerun.types import Finished, FinishReason, GenerateRequest, Identity, TextDelta, Usage

UPLOAD_THREADS = ThreadPoolExecutor(2)
MODEL = "@cf/meta/llama-2-7b-chat-int8"
PATH = f"/client/v4/accounts/local/ai/run/{MODEL}"


@dataclass(frozen=True, slots=True)
class FakeHealth:
    alive: bool = True
    draining: bool = False
    seconds_since_beat: float = 0.0


class FakeInference:
    """`words` pieces of text, `pause` seconds apart; counts what happens to it."""

    def __init__(self, words: int = 3, pause: float = 0.0, word: str = "word") -> None:
        self.words = words
        self.word = word
        self.pause = pause
        self.error: Exception | None = None
        self.reported = FakeHealth()
        self.identities: list[Identity] = []
        self.drained = self.closed = 0
        self.stopping = False

    def drain(self) -> None:
        self.drained += 1

    def close(self) -> None:
        self.closed += 1
        self.stopping = True

    async def start(
        self, request: GenerateRequest, identity: Identity, request_id: str
    ) -> "FakeGeneration":
        self.identities.append(identity)
        if self.error is not None:
            raise self.error
        return FakeGeneration(self)

    def report_load(self) -> None:
        pass


class FakeGeneration:
    def __init__(self, inference: FakeInference) -> None:
        self._inference = inference
        self.model = MODEL
        self.stand_in = None
        self.has_adapter = False
        self.arithmetic = "0/reference/fp32/fp32/0123456789ab"
        self.seed = 11
        self.queued_seconds = 0.0
        self.usage = Usage(7, 0)
        self.aborted = False

    async def __aiter__(self):
        for number in range(self._inference.words):
            self.usage = Usage(7, number + 1, 2)
            yield TextDelta(f"{self._inference.word}{number} ")
            for _ in range(int(self._inference.pause / 0.01)):
                if self._inference.stopping:
                    raise RequestAborted("The server is shutting down")
                await asyncio.sleep(0.01)
        yield Finished(FinishReason.STOP, self.usage)

    def abort(self) -> None:
        self.aborted = True


def make_state(
    inference: FakeInference | None = None,
    settings: Settings | None = None,
    tokens: TokenStore | None = None,
) -> AppState:
    inference = inference or FakeInference()
    settings = settings or Settings()
    catalog = Catalog.load()
    return AppState(
        settings=settings,
        catalog=catalog,
        inference=inference,  # pyright: ignore[reportArgumentType]
        tokens=tokens,
        health=lambda: inference.reported,  # pyright: ignore[reportArgumentType]
        models=(MODEL,),
        metrics=Metrics("test", [MODEL]),
        adapters=AdapterService(AdapterStore(settings.home), catalog, {}, settings),
        upload_threads=UPLOAD_THREADS,
    )
