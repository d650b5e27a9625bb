"""Knows what tools there are, how a prompt shows them and what a request for one says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training.draw import Draw, a, upper_first
from training.worlds import entities as e
from training.worlds.extraction import compact
from training.worlds.properties import whole

INTRO = "You can call these tools:"
SYSTEMS = (
    "You are a helpful assistant.", "You are a friendly assistant.", "You are a friendly assistant",
    "You help people at work.", "Use the tools where they help.",
    "You are an assistant with tools.", "Call a tool when the user needs one.",
    "You are a polite assistant.", "Be helpful.", "You work at the desk.",
)

# How often parameters have descriptions, in training; the questions of the evaluation have none.
EXPLAINED = 0.4


@dataclass(frozen=True)
class Param:
    """A parameter: names, JSON type, values, and how a request says it."""

    names: tuple[str, ...]
    type: str
    make: Callable[[Draw], Any]
    said: tuple[str, ...]
    help: str
    options: tuple[str, ...] = ()


def amount(draw: Draw) -> float | int:
    """A sum of money."""
    return draw.number(1, 500) + draw.free((0, 0, 0.5, 0.25, 0.99))


_CITY = Param(("city", "town", "location", "place"), "string", e.town,
              ("in {}", "for {}", "at {}", "near {}"), "name of the town")
_PERSON = Param(("name", "person", "recipient", "contact", "to"), "string", e.person,
                ("for {}", "with {}", "with the name {}", "in the name of {}"),
                "name of the person")
_DATE = Param(("date", "day", "on"), "string", e.iso_date, ("on {}", "for {}", "on the day {}"),
              "the day, as year-month-day")
_DAY = Param(("weekday", "day"), "string", e.weekday, ("on {}", "for {}", "next {}"),
             "day of the week")
_TIME = Param(("time", "at", "hour", "start"), "string",
              lambda d: f"{d.number(0, 23):02}:{d.free((0, 10, 15, 30, 45)):02}",
              ("at {}", "for {}", "from {}"), "time of day")
_COUNT = Param(("count", "quantity", "number", "amount"), "integer", whole(1, 60),
               ("{} times", "with the count {}", "with a quantity of {}"), "how many")
_PEOPLE = Param(("people", "guests", "persons", "seats"), "integer", whole(1, 20),
                ("for {} people", "with {} guests", "for {} persons"), "number of people")
_MINUTES = Param(("minutes", "duration", "length"), "integer", whole(1, 90),
                 ("for {} minutes", "of {} minutes", "lasting {} minutes"), "length in minutes")
_ID = Param(("id", "code", "reference", "number", "key"), "string", e.code,
            ("{}", "with the id {}", "with the code {}", "number {}", "with reference {}"),
            "the identifier")
_AMOUNT = Param(("amount", "price", "sum", "value"), "number", amount,
                ("over {} euros", "of {} euros", "worth {} euros"), "amount in euros")
_TITLE = Param(("title", "subject", "heading"), "string", e.title,
               ('titled "{}"', 'with the title "{}"', 'called "{}"'), "the title")
_TEXT = Param(("text", "message", "content", "note", "body"), "string", e.phrase,
              ('with the text "{}"', 'saying "{}"', 'that says "{}"'), "the words")
_EMAIL = Param(("email", "address", "to", "recipient"), "string", e.email,
               ("to {}", "for {}", "at {}"), "an email address")
_COLOUR = Param(("colour", "color"), "string", e.colour, ("in {}", "in the colour {}"),
                "the colour")
_PRODUCT = Param(("product", "item", "article"), "string", e.product,
                 ("of the {}", "for the {}", "with the {}"), "the product")
_COMPANY = Param(("company", "firm", "supplier"), "string", e.company,
                 ("for {}", "from {}", "of {}"), "the company")
_LEVEL = Param(("level", "priority"), "string", lambda d: d.free(("low", "medium", "high")),
               ("with {} priority", "at the level {}"), "how important",
               ("low", "medium", "high"))
_LOUD = Param(("loud", "sound"), "boolean", lambda _: True, ("with sound", "loudly"),
              "whether it makes a sound")
_PARAMS = (_CITY, _PERSON, _DATE, _DAY, _TIME, _COUNT, _PEOPLE, _MINUTES, _ID, _ID, _AMOUNT,
           _TITLE, _TEXT, _EMAIL, _COLOUR, _PRODUCT, _COMPANY, _LEVEL, _LOUD)
# verb in the tool's name: how a request says it
_VERBS: dict[str, tuple[str, ...]] = {
    "create": ("create", "make", "set up"), "delete": ("delete", "remove", "erase"),
    "send": ("send", "please send"), "book": ("book", "reserve"), "cancel": ("cancel", "call off"),
    "open": ("open", "please open"), "close": ("close", "shut"), "start": ("start", "begin"),
    "stop": ("stop", "end"), "print": ("print", "print out"), "move": ("move", "shift"),
    "add": ("add", "put in"), "order": ("order", "buy"), "check": ("check", "have a look at"),
    "find": ("find", "search for", "look for"), "get": ("get", "show me", "look up", "give me"),
    "update": ("update", "change"), "schedule": ("schedule", "plan"), "share": ("share",),
    "save": ("save", "store"), "lock": ("lock",), "unlock": ("unlock",), "repair": ("repair",
    "fix"), "rename": ("rename",), "copy": ("copy", "duplicate"), "pay": ("pay", "settle"),
    "clean": ("clean", "wash"), "approve": ("approve", "accept"), "reject": ("reject", "refuse"),
    "archive": ("archive", "file away"), "import": ("import",), "export": ("export",),
    "list": ("list", "show all of"), "count": ("count",), "measure": ("measure",),
}
_VERB_NAMES = tuple(_VERBS)
_OBJECTS = tuple(
    "invoice table room meeting ticket message report order parcel file folder appointment "
    "reminder "
    "note task alarm timer playlist song lamp door window heater oven camera printer car flight "
    "train hotel taxi bike account contract customer employee project budget photo video recipe "
    "event course exam lesson plant pump robot sensor screen shop stock price menu dish job branch "
    "backup server database user password page article comment poll map route locker gate lift "
    "badge contact calendar newsletter offer bill receipt refund payment loan form letter label "
    "poster shipment pallet warehouse shelf machine engine valve meter".split()
)


@dataclass
class Tool:
    """One tool as it is shown, with the parts of a request for it."""

    name: str
    description: str
    params: list[tuple[str, Param, bool]]  # (name, param, is required)
    ask: Callable[[Draw, dict[str, Any]], str]
    thing: str
    pair: str

    def line(self, explained: bool) -> str:
        """The tool as one line of JSON, with a description of each parameter where `explained`."""
        properties: dict[str, Any] = {}
        for name, param, _ in self.params:
            properties[name] = {"type": param.type}
            if explained:
                properties[name]["description"] = param.help
            if param.options:
                properties[name]["enum"] = list(param.options)
        return compact({"name": self.name, "description": self.description, "parameters": {
            "type": "object", "properties": properties,
            "required": [name for name, _, required in self.params if required]}})


def _spelled(draw: Draw, words: list[str], style: int) -> str:
    if style == 1:
        return words[0] + "".join(word.capitalize() for word in words[1:])
    return ("." if style == 2 else "-" if style == 3 else "_").join(words)


def _shown(value: Any) -> str:
    return str(value)


def made_tool(draw: Draw, style: int, taken: set[str]) -> Tool:
    """A tool of a verb and an object, with one to four parameters."""
    # The pair decides the split: all verbs and objects are known, a held-out pair is not.
    pair = ""
    while not pair or pair in taken or (pair.split()[1] in taken and draw.chance(0.7)):
        pair = draw.fresh("tool", lambda d: f"{d.free(_VERB_NAMES)} {d.free(_OBJECTS)}")
    verb, thing = pair.split()
    extra = draw.chance(0.25)
    noun = f"{draw.free(e.ADJECTIVES)} {thing}" if extra else thing
    name = _spelled(draw, [verb, *noun.split()], style)
    chosen: list[tuple[str, Param, bool]] = []
    names: set[str] = set()
    for param in draw.some(_PARAMS, draw.free((1, 1, 2, 2, 3, 4))):
        own = draw.free(param.names)
        if own in names or any(param is other for _, other, _ in chosen):
            continue
        names.add(own)
        chosen.append((own, param, not draw.chance(0.25)))
    description = draw.free((f"{upper_first(verb)} {a(noun)}", f"{upper_first(verb)} the {noun}",
                             f"{upper_first(verb)}s {a(noun)}.", f"Use it to {verb} {a(noun)}",
                             f"{upper_first(verb)} {noun}s", f"{upper_first(noun)}: {verb}"))

    def ask(d: Draw, values: dict[str, Any]) -> str:
        phrases = []
        for own, param, _ in chosen:
            if own in values:
                if param.names[0] == "colour" or d.chance(0.75) or param.type == "boolean":
                    phrases.append(d.free(param.said).format(_shown(values[own])))
                else:
                    phrases.append(f"with the {own} {_shown(values[own])}")
        if d.chance(0.4):
            d.rng.shuffle(phrases)
        asked = f"{d.free(_VERBS[verb])} {d.free(('the', 'a', 'a', 'this', 'my'))} {noun}"
        asked = asked.replace(" a a", " an a").replace(" a e", " an e").replace(" a i", " an i")
        asked = asked.replace(" a o", " an o")
        return f"{asked} {' '.join(phrases)}".strip()

    return Tool(name, description, chosen, ask, thing, pair)


_WEATHER_ASKED = ("what is the weather like in {}", "what's the weather in {}",
                  "how is the weather in {}", "will it rain in {}", "do I need an umbrella in {}",
                  "tell me the weather in {}", "is it cold in {} now", "weather in {}",
                  "what's it like outside in {}", "how warm is it in {}", "is it raining in {}",
                  "what is the temperature in {}", "how is it in {} today", "is the sun out in {}",
                  "what will the weather be in {}", "should I take a coat in {}",
                  "how cold is it in {} right now", "is it sunny in {}", "do we get snow in {}")
_CLOCK_ASKED = ("what time is it in {}", "tell me the time in {}", "how late is it in {}",
                "what is the local time in {}", "what's the time in {}", "is it late in {}",
                "which time is it in {} now", "time in {}", "what does the clock say in {}")
_MAIL_ASKED = ('send a mail to {} with the text "{}"', 'write to {}: "{}"',
               'mail {} that says "{}"',
               'email {} and say "{}"')
_TIMER_ASKED = ("set a timer for {} minutes", "wake me in {} minutes", "start a {} minute timer",
                "remind me in {} minutes", "count down {} minutes", "timer for {} minutes",
                "tell me when {} minutes are over", "I need a timer of {} minutes",
                "let me know in {} minutes")
_SEARCH_ASKED = ('search the web for "{}"', 'look up "{}" on the web', 'google "{}"',
                 'find pages about "{}"', 'what does the web say about "{}"')
_MONEY_ASKED = ("convert {} {} to {}", "how much is {} {} in {}", "change {} {} into {}")
_STOCK_ASKED = ("what is the share price of {}", "how is the stock of {}",
                "what does a share of {} cost", "stock price of {}",
                "how much is {} worth on the stock market",
                "what are shares of {} at", "is the stock of {} up",
                "tell me the share price of {}")
_TRANSLATE_ASKED = ('translate "{}" into {}', 'how do you say "{}" in {}', 'what is "{}" in {}')
_ROUTE_ASKED = ("how do I get from {} to {}", "find a route from {} to {}",
                "what is the way from {} to {}", "how far is it from {} to {}",
                "what is the best route from {} to {}",
                "how long is the way from {} to {}", "show the way from {} to {}",
                "directions from {} to {}")
_ORDER_ASKED = ("where is my order {}", "what is the status of order {}", "track order {}",
                "has order {} been shipped", "when does order {} come", "how is order {} doing",
                "where's order {}", "what happened to order {}", "is order {} on its way")
_LIGHT_ASKED = ("turn the light {1} in the {0}", "switch {1} the {0} light",
                "lights {1} in the {0}")
_MUL_ASKED = ("what is {} times {}", "multiply {} by {}", "calculate {} * {}",
              "how much is {} times {}", "what's {} x {}",
              "what is the product of {} and {}", "work out {} times {}", "{} multiplied by {}")
_CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY", "SEK")
_TONGUES = ("French", "German", "Spanish", "Italian", "Japanese", "Latin", "Polish", "Dutch")
_ROOMS = ("kitchen", "bedroom", "garage", "hall", "office", "cellar", "garden", "bathroom")


def _own(names: tuple[str, ...], kind: str, make: Callable[[Draw], Any], help_: str,
         options: tuple[str, ...] = ()) -> Param:
    return Param(names, kind, make, (), help_, options)


# (names, descriptions, parameters, wordings)
_KNOWN: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[Param, ...], tuple[str, ...]], ...] = (
    (("get_weather", "weather", "current_weather", "getWeather", "weather_lookup"),
     ("Get the weather for a city", "Current weather in a place",
      "Return the weather for a location", "Get current weather"),
     (_CITY,), _WEATHER_ASKED),
    (("get_time", "local_time", "clock", "world_clock"),
     ("Get the time in a city", "Local time of a place"), (_CITY,), _CLOCK_ASKED),
    (("send_email", "send_mail", "email", "mail_send"),
     ("Send an email", "Send a mail to an address"), (_EMAIL, _TEXT), _MAIL_ASKED),
    (("set_timer", "start_timer", "timer"), ("Set a timer", "Start a countdown"),
     (_MINUTES,), _TIMER_ASKED),
    (("search_web", "web_search", "search"), ("Search the web", "Find pages on the internet"),
     (_own(("query", "q", "term"), "string", e.product, "what to search for"),), _SEARCH_ASKED),
    (("convert_currency", "exchange", "currency_convert"),
     ("Convert money between currencies", "Exchange a sum of money"),
     (_own(("amount", "value"), "number", whole(1, 999), "the sum to convert"),
      _own(("from", "source", "from_currency"), "string", lambda d: d.free(_CURRENCIES[:3]),
           "code of the currency one has"),
      _own(("to", "target", "to_currency"), "string", lambda d: d.free(_CURRENCIES[3:]),
           "code of the currency one wants")),
     _MONEY_ASKED),
    (("get_stock_price", "stock_price", "share_price"),
     ("Get the price of a share", "Current stock price of a company"),
     (_own(("company", "symbol", "ticker"), "string", e.company, "the company"),), _STOCK_ASKED),
    (("translate", "translate_text", "translator"),
     ("Translate a text", "Translate words into another language"),
     (_own(("text", "phrase"), "string", e.phrase, "what to translate"),
      _own(("language", "target", "to"), "string", lambda d: d.free(_TONGUES),
           "language to translate into")), _TRANSLATE_ASKED),
    (("find_route", "get_route", "directions", "route"),
     ("Find the way between two towns", "Directions from one place to another"),
     (_own(("from", "start", "origin"), "string", e.town, "where the way begins"),
      _own(("to", "end", "destination"), "string", e.town, "where the way ends")),
     _ROUTE_ASKED),
    (("get_order_status", "track_order", "order_status"),
     ("Get the status of an order", "Track an order"),
     (_own(("order_id", "id", "order"), "string", e.code, "number of the order"),), _ORDER_ASKED),
    (("set_light", "switch_light", "lights"), ("Switch a light on or off", "Control the lights"),
     (_own(("room", "place"), "string", lambda d: d.free(_ROOMS), "the room"),
      _own(("state", "mode"), "string", lambda d: d.free(("on", "off")),
           "on or off", ("on", "off"))),
     _LIGHT_ASKED),
    (("multiply", "calculate_product", "times"), ("Multiply two numbers", "Product of two numbers"),
     (_own(("a", "x", "left", "first"), "integer", whole(2, 999), "the first number"),
      _own(("b", "y", "right", "second"), "integer", whole(2, 999), "the second number")),
     _MUL_ASKED),
)


def known_tool(draw: Draw, style: int, taken: set[str]) -> Tool | None:
    """One of the tools that everybody shows in an example."""
    at = draw.number(0, len(_KNOWN) - 1)
    names, descriptions, params, wordings = _KNOWN[at]
    if names[0] in taken:
        return None
    chosen = [(draw.free(param.names), param, True) for param in params]

    def ask(d: Draw, values: dict[str, Any]) -> str:
        asked = d.ask(f"ask-tool-{names[0]}", wordings, 2)
        return asked.format(*(_shown(values[name]) for name, _, _ in chosen))

    return Tool(draw.free(names), draw.free(descriptions), chosen, ask, names[0], names[0])


def tools(draw: Draw, count: int) -> list[Tool]:
    """`count` tools that do different things."""
    found: list[Tool] = []
    taken: set[str] = set()
    style = draw.free((0, 0, 0, 0, 1, 2, 3))
    while len(found) < count:
        tool = (known_tool if draw.chance(0.35) else made_tool)(draw, style, taken)
        if tool is not None and tool.name not in {other.name for other in found}:
            taken |= {tool.thing, tool.pair}
            found.append(tool)
    return found


def system(draw: Draw, shown: list[Tool], text: str | None = None) -> str:
    """The system turn that shows the tools, after an own text where there is one."""
    explained = not draw.held_out and draw.chance(EXPLAINED)
    lines = "\n".join([INTRO, *(tool.line(explained) for tool in shown)])
    if text is None and draw.chance(0.3):
        text = draw.free(SYSTEMS)
    return lines if text is None else f"{text}\n\n{lines}"
