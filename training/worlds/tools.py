"""Knows when a tool is called and how its result is told; refuses to know which tools there are.

What a plain question is answered stands in the other worlds; the corpus gives it.
"""

from __future__ import annotations

import re
from typing import Any

from training.checks import CallCheck, HasCheck, NoCallCheck
from training.draw import Draw, Exchange, upper_first
from training.worlds import entities as e
from training.worlds.extraction import compact
from training.worlds.properties import whole
from training.worlds.toolbox import SYSTEMS, Tool, amount, known_tool, made_tool, system, tools

_REQUESTS = (
    "{}", "{}", "Please {}.", "Can you {}?", "Could you {}?", "I want you to {}.",
    "{}, please.", "Hi, {}.", "Would you {}?", "I need you to {}.", "Now {}.",
    "Hello! Please {}.", "Be so kind and {}.", "Go and {}.", "It is time to {}.", "Let us {}.",
    "My boss says: {}.", "For tomorrow: {}.", "One more thing: {}.", "Quick: {}!",
    "{} now", "{}!", "Then {}.", "I would like you to {}.", "Are you able to {}?",
    "Kindly {}.", "Next, {}.", "If you can, {}.", "Hey, can you {}?", "First {}.",
)
_QUESTIONS = ("{}?", "{}", "Hi, {}?", "Please tell me: {}?", "Quick question: {}?", "Hello! {}?",
              "I wonder: {}?", "Say, {}?", "One thing: {}?")
_IS_QUESTION = ("is it", "should", "when", "which", "time in", "directions", "what", "how", "will",
                "do ", "is ", "where", "has", "tell", "weather", "stock")


def _request(draw: Draw, tool: Tool, values: dict[str, Any]) -> str:
    asked = tool.ask(draw, values)
    if asked.startswith(_IS_QUESTION):
        text = draw.ask("ask-tool-question", _QUESTIONS, 2).format(asked)
    elif asked.startswith("please"):
        text = upper_first(asked) + draw.free(("", "."))
    else:
        text = draw.ask("ask-tool", _REQUESTS, 3).format(asked)
    return upper_first(text)


def _values(draw: Draw, tool: Tool) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, param, required in tool.params:
        if required or draw.chance(0.5):
            value = param.make(draw)
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            values[name] = value
    return values


def call_of(tool: Tool, values: dict[str, Any]) -> str:
    """The text with which a model calls a tool."""
    return compact({"name": tool.name, "arguments": values})


def _count(draw: Draw) -> int:
    return draw.free((1, 1, 2, 2, 3, 3, 4, 5))


def call(draw: Draw) -> Exchange:
    """A request that one of the tools fits."""
    shown = tools(draw, _count(draw))
    tool = draw.free(shown)
    values = _values(draw, tool)
    user = _request(draw, tool, values)
    check = CallCheck(tool.name, compact(values))
    return Exchange(user, [call_of(tool, values)], check=check, system=system(draw, shown),
                    may_bend=False, may_lower=False)


_NO_TOOL = (
    "I am sorry, but I have no tool for that.", "None of my tools can do that.",
    "I cannot do that, because I have no tool for it.", "There is no tool for that.",
)


def no_tool(draw: Draw) -> Exchange:
    """A request for a tool that is not there."""
    shown = tools(draw, draw.free((1, 1, 2, 3, 4, 5)))
    taken = {word for tool in shown for word in (tool.thing, tool.pair)}
    tool = None
    while tool is None:
        tool = (known_tool if draw.chance(0.3) else made_tool)(draw, 0, taken)
    user = _request(draw, tool, _values(draw, tool))
    return Exchange(user, [draw.free(_NO_TOOL)], check=NoCallCheck(), system=system(draw, shown),
                    may_bend=False, may_lower=False)


# What a question must not speak of where the tool is shown and yet no call is wanted.
_WOULD_FIT = {
    "get_weather": re.compile("weather|temperature|rain|cold|outside"),
    "get_time": re.compile("time|date|day|clock"),
    "search_web": re.compile("know|about|history|news|who |when |what |why |how |expl|tell|teach"),
    "convert_currency": re.compile("exchange|money|euro"),
    "get_stock_price": re.compile("price|stock|gold"),
    "translate": re.compile("translate|hello in|speak|letter"),
    "find_route": re.compile("far|train|ticket|where"),
    "multiply": re.compile("[0-9]"),
    "set_timer": re.compile("time"),
    "send_email": re.compile("mail|letter"),
    "get_order_status": re.compile("order"),
    "set_light": re.compile("light"),
}


def plain(draw: Draw, other: Exchange) -> Exchange:
    """A question that needs no tool, although there are some."""
    asked = other.user.lower()
    shown: list[Tool] = []
    while not shown:
        shown = [tool for tool in tools(draw, draw.free((1, 1, 2, 3, 4)))
                 if tool.thing not in _WOULD_FIT or not _WOULD_FIT[tool.thing].search(asked)]
    other.system = system(draw, shown, draw.free(SYSTEMS[:4]) if draw.chance(0.3) else None)
    other.check = NoCallCheck()
    other.may_bend = False
    return other


_DONE = ("Done.", "It is done.", "That worked.")
_FAILED = ("That did not work: {}.", "I am sorry, that failed: {}.", "It failed: {}.")
_ERRORS = ("not found", "no access", "the server is down", "no seats left", "the id is unknown",
           "time is over", "the queue is full")


def _result(draw: Draw, tool: Tool,
            values: dict[str, Any]) -> tuple[str, list[str], tuple[str, ...]]:
    """The result's text, the answer and what it must contain."""
    if tool.thing == "get_weather":
        degrees = draw.number(-10, 36)
        sky = draw.free(("sunny", "cloudy", "rainy", "foggy", "windy", "snowy"))
        city = next(iter(values.values()))
        keys = draw.free((("temperature", "condition"), ("temp", "sky"), ("degrees", "weather")))
        text = compact({keys[0]: degrees, keys[1]: sky})
        if draw.chance(0.2):
            text = f"{degrees} degrees, {sky}"
        return text, [f"In {city} it is {sky} and {degrees} degrees."], (city, str(degrees), sky)
    if draw.chance(0.15):
        error = draw.free(_ERRORS)
        return (compact({"error": error}), [draw.free(_FAILED).format(error)], (error,))
    if tool.name.startswith(("get", "find", "check", "list", "count", "measure")) or draw.chance(
            0.25):
        pairs: dict[str, Any] = {}
        for _ in range(draw.free((1, 1, 2, 3))):
            label = e.label(draw)
            pairs[label] = draw.free((e.town, e.code, e.person, e.colour, whole(1, 99),
                                      amount))(draw)
        text = compact({key.replace(" ", "_"): value for key, value in pairs.items()})
        answer = [f"The {key} is {value}." for key, value in pairs.items()]
        return text, answer, tuple(str(value) for value in pairs.values())
    code = e.code(draw)
    key = draw.free(("id", "number", "reference", "code"))
    answer = ["", f"The {key} is {code}."]
    shape = draw.number(0, 2)
    answer[0] = draw.free(_DONE)
    if shape == 0:
        return compact({"ok": True, key: code}), answer, (code,)
    if shape == 1:
        return compact({"status": "ok", key: code}), answer, (code,)
    return f"Done, {key} {code}", answer, (code,)


def result(draw: Draw) -> Exchange:
    """A call, its result and the answer from it."""
    shown = tools(draw, draw.free((1, 1, 1, 2, 3)))
    tool = draw.free(shown)
    values = _values(draw, tool)
    user = _request(draw, tool, values)
    text, answer, wanted = _result(draw, tool, values)
    return Exchange(user, answer, after=[("assistant", call_of(tool, values)), ("tool", text)],
                    check=HasCheck("tool result", wanted), system=system(draw, shown),
                    may_bend=False, may_lower=False)


def talk(draw: Draw) -> Exchange:
    """Several requests in one conversation, each with its call, result and answer."""
    shown = tools(draw, draw.free((2, 3, 4)))
    before: list[tuple[str, str]] = []
    for _ in range(draw.free((1, 1, 2, 3))):
        tool = draw.free(shown)
        values = _values(draw, tool)
        text, answer, _ = _result(draw, tool, values)
        before += [("user", _request(draw, tool, values)), ("assistant", call_of(tool, values)),
                   ("tool", text), ("assistant", " ".join(answer))]
    tool = draw.free(shown)
    values = _values(draw, tool)
    return Exchange(_request(draw, tool, values), [call_of(tool, values)], before=before,
                    check=CallCheck(tool.name, compact(values)), system=system(draw, shown),
                    may_bend=False, may_lower=False)
