"""Knows system prompts and how they change an answer; refuses to know what is talked about."""

from __future__ import annotations

from training.draw import Draw, Exchange

_PLAIN = (
    "You are a friendly assistant", "You are a friendly assistant", "You are a friendly assistant",
    "You are a friendly assistant", "You are a friendly assistant.",
    "You are a friendly assistant.",
    "You are a helpful assistant.", "You are a helpful assistant.", "You are a helpful assistant",
    "You are a kind assistant.", "You are a helpful and friendly assistant.",
    "You are a good storyteller.", "You are a teacher.", "You are an assistant.",
    "You are a friendly helper.", "You are a patient teacher.", "Be helpful.", "Be kind.",
    "You are a helpful AI assistant.", "Help the user.", "You are an expert.",
    "You are a friendly chatbot.", "You answer questions.", "Answer truthfully.",
)
_ONE_SENTENCE = (
    "Answer in one sentence.", "Answer in one sentence", "Always answer in one sentence.",
    "Use only one sentence.", "You are a helpful assistant. Answer in one sentence.",
    "You are a friendly assistant. Answer in one sentence.", "Keep your answers short.",
    "Be brief.", "Reply with a single sentence.", "Give short answers.",
)
_CHEERFUL = ("You are a cheerful assistant.", "Be cheerful.", "You are a very cheerful helper.",
             "Use a cheerful tone.", "Sound happy.")
_CHEERFUL_LAST = ("Have a wonderful day!", "Isn't that great!", "I love that question!",
                  "What a nice thing to talk about!")
_FORMAL = ("You are a formal assistant.", "Use a formal tone.", "You are a butler.",
           "Answer in a formal way.", "Be very polite.")
_FORMAL_FIRST = ("Certainly.", "With pleasure.", "Of course.")
_USER_ONE = ("{} Answer in one sentence.", "Answer in one sentence: {}", "In one sentence: {}",
             "{} One sentence, please.", "{} Keep it short.", "Briefly: {}")


def is_short(system: str | None) -> bool:
    """True where the system prompt wants one sentence."""
    return system in _ONE_SENTENCE


def frame(draw: Draw, exchange: Exchange) -> tuple[str | None, Exchange]:
    """Chooses a system prompt (or none) and bends the last answer to it."""
    if exchange.system is not None:
        return exchange.system, exchange
    pick = draw.rng.random()
    if pick < 0.45:
        return None, exchange
    if pick < 0.80:
        return draw.pick("system", _PLAIN, 10), exchange
    if pick < 0.92:
        if not exchange.may_shorten:
            return draw.pick("system", _PLAIN, 10), exchange
        exchange.answer = exchange.answer[:1]
        if draw.chance(0.4):
            exchange.user = draw.pick("user-one", _USER_ONE, 2).format(exchange.user)
            return (None if draw.chance(0.5) else "You are a friendly assistant"), exchange
        return draw.pick("system", _ONE_SENTENCE, 2), exchange
    if not exchange.may_tone:
        return draw.pick("system", _PLAIN, 10), exchange
    if pick < 0.96:
        exchange.answer = [*exchange.answer, draw.free(_CHEERFUL_LAST)]
        return draw.pick("system", _CHEERFUL, 1), exchange
    exchange.answer = [draw.free(_FORMAL_FIRST), *exchange.answer]
    return draw.pick("system", _FORMAL, 1), exchange
