"""The service on rookie itself: limits, streams, aborts, and faults in every stage of its own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from homerun.errors import (
    AdapterNotFound,
    BadInput,
    ContextOverflow,
    GenerationFailed,
    HomerunError,
    LoraUnsupported,
    ModelNotHere,
    NoSuchModel,
    QueueFull,
)
from homerun.service import inference
from homerun.service.inference import Generation, InferenceService
from homerun.service.models import ROOKIE, ModelSpec, ServedModels, load_models
from homerun.settings import Settings
from homerun.text.detokenizer import Detokenizer
from homerun.text.templates import FormatTemplate
from homerun.text.tokenizer import Tokenizer
from homerun.types import (
    Finished,
    FinishReason,
    GenerateRequest,
    Identity,
    Message,
    SamplingParams,
    TextDelta,
    Working,
)
from tests.service.serving import make_service

LLAMA = "@cf/meta/llama-2-7b-chat-int8"
WHO = Identity("local")
GREEDY = SamplingParams(temperature=0.0)
ASK = GenerateRequest(LLAMA, prompt="Tell me a story", max_tokens=30, sampling=GREEDY)

ids = iter(f"test-{number}" for number in range(10**9))


def settings(**changes: object) -> Settings:
    return Settings.from_environment({}, stand_in=True, **changes)


@pytest.fixture
def opened() -> "AsyncIterator[Callable[..., InferenceService]]":
    services: list[InferenceService] = []

    def open_service(models: ServedModels | None = None, **changes: object) -> InferenceService:
        chosen = settings(**changes)
        models = models or load_models([ModelSpec(ROOKIE)], chosen)
        service = make_service(models, chosen)
        service.open()
        services.append(service)
        return service

    yield open_service  # type: ignore[misc]
    for service in services:
        service.close()


async def collect(generation: Generation) -> tuple[str, Finished]:
    text = ""
    async for item in generation:
        if isinstance(item, TextDelta):
            assert item.text
            text += item.text
        elif isinstance(item, Finished):
            return text, item
    raise AssertionError("no Finished")


async def ask(service: InferenceService, request: GenerateRequest = ASK) -> tuple[str, Finished]:
    return await collect(await service.start(request, WHO, next(ids)))


def test_an_answer_with_exact_counts(opened: Callable[..., InferenceService]) -> None:
    service = opened()
    text, finished = asyncio.run(ask(service, replace(ASK, max_tokens=300)))
    assert text[0].isupper()
    assert finished.finish_reason is FinishReason.STOP
    tokenizer = service._served[LLAMA].tokenizer
    # The answer's own tokens and the stop token.
    assert finished.usage.completion_tokens == len(tokenizer.encode_text(text)) + 1
    prompt = service._served[LLAMA].template.render_prompt("Tell me a story")
    assert finished.usage.prompt_tokens == len(prompt)


def test_the_second_time_the_prompt_is_cached(opened: Callable[..., InferenceService]) -> None:
    service = opened()
    long = replace(ASK, prompt="Tell me a story. " * 20)
    first, again = asyncio.run(ask(service, long)), asyncio.run(ask(service, long))
    assert first[0] == again[0]
    assert first[1].usage.cached_tokens == 0
    assert again[1].usage.cached_tokens % 16 == 0
    assert 0 < again[1].usage.cached_tokens < again[1].usage.prompt_tokens


def test_accounts_do_not_share_prefixes(opened: Callable[..., InferenceService]) -> None:
    service = opened()
    long = replace(ASK, prompt="Tell me a story. " * 20)

    async def by(account: str) -> Finished:
        generation = await service.start(long, Identity(account), next(ids))
        return (await collect(generation))[1]

    asyncio.run(by("one"))
    assert asyncio.run(by("two")).usage.cached_tokens == 0
    assert asyncio.run(by("one")).usage.cached_tokens > 0


def test_messages_prompt_and_raw(opened: Callable[..., InferenceService]) -> None:
    service = opened()
    messages = (Message("system", "You are a helpful assistant"), Message("user", "Hello"))
    by_messages = asyncio.run(ask(service, replace(ASK, prompt=None, messages=messages)))
    by_prompt = asyncio.run(ask(service, replace(ASK, prompt="Hello")))
    text = "<|system|>You are a helpful assistant<|end|><|user|>Hello<|end|><|assistant|>"
    by_raw = asyncio.run(ask(service, replace(ASK, prompt=text, raw=True)))
    assert by_messages[0] == by_prompt[0] == by_raw[0]
    assert by_messages[1].usage.prompt_tokens == by_raw[1].usage.prompt_tokens


@pytest.mark.parametrize(
    ("request_", "error", "text"),
    [
        (replace(ASK, max_tokens=8192), ContextOverflow, "8192"),
        (replace(ASK, model="@cf/no/model"), NoSuchModel, "@cf/no/model"),
        (replace(ASK, lora="x"), LoraUnsupported, LLAMA),
        (replace(ASK, model="@cf/google/gemma-2b-it-lora", lora="x"), AdapterNotFound, "x"),
        (replace(ASK, prompt=None, messages=(Message("wizard", "x"),)), BadInput, "wizard"),
    ],
)
def test_refusals(
    request_: GenerateRequest,
    error: type[HomerunError],
    text: str,
    opened: Callable[..., InferenceService],
    tmp_path: Path,
) -> None:
    service = opened(home=tmp_path)
    with pytest.raises(error, match=text):
        asyncio.run(ask(service, request_))
    assert asyncio.run(ask(service))[0]


def test_the_window_is_exact(opened: Callable[..., InferenceService]) -> None:
    service = opened(max_model_len=100)
    served = service._served[LLAMA]
    prompt = len(served.template.render_prompt("Hello"))
    fits = replace(ASK, prompt="Hello", max_tokens=100 - prompt)
    assert asyncio.run(ask(service, fits))[0]
    with pytest.raises(ContextOverflow, match=r"\(101\).*\(100\)"):
        asyncio.run(ask(service, replace(fits, max_tokens=101 - prompt)))


def test_a_shorter_window_changes_no_answer(opened: Callable[..., InferenceService]) -> None:
    """Beyond the trained length positions are scaled, by the catalog's window alone."""
    beyond = replace(ASK, prompt="Tell me a story. " * 40, max_tokens=2048)
    beyond = replace(beyond, sampling=SamplingParams(temperature=0.0, presence_penalty=2.0))
    answers = [asyncio.run(ask(opened(max_model_len=limit), beyond)) for limit in (None, 3000)]
    assert answers[0] == answers[1]


def test_a_model_that_is_not_here_says_how_to_get_it() -> None:
    models = load_models([ModelSpec(ROOKIE)], replace(settings(), stand_in=False))
    service = make_service(models, settings(max_queue=1))
    with pytest.raises(ModelNotHere, match="homerun models pull @cf/meta/llama-2-7b-chat"):
        asyncio.run(ask(service))


def test_a_full_queue_refuses_and_a_left_generation_makes_room(
    opened: Callable[..., InferenceService],
) -> None:
    service = opened(max_sequences=1, max_queue=2)

    async def crowd() -> None:
        endless = replace(ASK, max_tokens=1500, sampling=SamplingParams(temperature=5.0, seed=3))
        first = await service.start(endless, WHO, next(ids))
        waiting = [asyncio.create_task(ask(service)) for _ in range(6)]
        await asyncio.sleep(0.3)
        assert any(task.done() and isinstance(task.exception(), QueueFull) for task in waiting)
        first.abort()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        served = [one for one in done if not isinstance(one, BaseException)]
        assert len(served) >= 2
        assert len({text for text, _ in served}) == 1

    asyncio.run(crowd())


def test_a_long_silence_is_told(
    opened: Callable[..., InferenceService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "WORKING_SECONDS", 0.001)
    service = opened()

    async def watch() -> list[object]:
        long = replace(ASK, prompt="Tell me a story. " * 100)
        return [item async for item in await service.start(long, WHO, next(ids))]

    items = asyncio.run(watch())
    assert isinstance(items[0], Working)
    assert isinstance(items[-1], Finished)


BAD = "please fail"


def _inject(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes one stage raise for the request that holds BAD."""
    if stage == "tokenise":
        genuine = Tokenizer.encode_raw

        def encode(self: Tokenizer, text: str) -> list[int]:
            if BAD in text:
                raise RuntimeError("injected")
            return genuine(self, text)

        monkeypatch.setattr(Tokenizer, "encode_raw", encode)
    elif stage == "template":
        render = FormatTemplate.render_prompt

        def broken(self: FormatTemplate, prompt: str) -> list[int]:
            if BAD in prompt:
                raise ZeroDivisionError("injected")
            return render(self, prompt)

        monkeypatch.setattr(FormatTemplate, "render_prompt", broken)
    elif stage == "detokenise":
        start = InferenceService.start

        async def marked(
            self: InferenceService, request: GenerateRequest, who: Identity, id_: str
        ) -> Generation:
            generation = await start(self, request, who, id_)
            if BAD in (request.prompt or ""):

                def push(_: object) -> str:
                    raise ValueError("injected")

                generation._detokenizer.push = push  # type: ignore[method-assign]
            return generation

        monkeypatch.setattr(InferenceService, "start", marked)


@pytest.mark.parametrize("stage", ["tokenise", "template", "detokenise"])
def test_a_fault_of_ours_ends_one_request_and_fifty_others_are_unchanged(
    stage: str, opened: Callable[..., InferenceService], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = opened()
    neighbours = [
        replace(
            ASK, prompt=f"What is {i} plus 2?", max_tokens=4, sampling=SamplingParams(seed=i + 1)
        )
        for i in range(50)
    ]
    bad = replace(ASK, prompt=BAD, raw=stage == "tokenise", max_tokens=4)

    async def calm() -> list[tuple[str, Finished]]:
        return [await ask(service, one) for one in neighbours]

    async def together() -> list[object]:
        tasks = [ask(service, one) for one in [*neighbours[:25], bad, *neighbours[25:]]]
        return list(await asyncio.gather(*tasks, return_exceptions=True))

    expected = asyncio.run(calm())
    _inject(stage, monkeypatch)
    outcomes = asyncio.run(together())
    assert isinstance(outcomes.pop(25), GenerationFailed)
    for outcome, (text, finished) in zip(outcomes, expected, strict=True):
        assert isinstance(outcome, tuple), outcome
        assert outcome[0] == text
        assert outcome[1].finish_reason is finished.finish_reason
    monkeypatch.undo()
    assert asyncio.run(ask(service, neighbours[0]))[0] == expected[0][0]


def test_whole_characters_whatever_the_tokens(opened: Callable[..., InferenceService]) -> None:
    """High temperature makes byte tokens that are no characters; nothing breaks."""
    service = opened()
    tokenizer = service._served[LLAMA].tokenizer
    for seed in range(1, 6):
        wild = replace(ASK, max_tokens=40, sampling=SamplingParams(temperature=5.0, seed=seed))
        text, finished = asyncio.run(ask(service, wild))
        text.encode()
        assert finished.usage.completion_tokens <= 40
        assert isinstance(Detokenizer(tokenizer).finish(), str)


def test_a_prompt_without_tokens(
    opened: Callable[..., InferenceService], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As raw text of no characters is for a tokenizer without BOS; the engine must not see it."""
    service = opened()
    monkeypatch.setattr(Tokenizer, "encode_raw", lambda self, text: [])
    with pytest.raises(BadInput, match="no tokens"):
        asyncio.run(ask(service, replace(ASK, raw=True)))
    assert service.health(30).alive
    asyncio.run(ask(service))
