"""Knows records (orders, trips, people ...) and how a text tells them; refuses to know any task.

A record is a list of `Field`s with their values. Extraction, spans and tools all ask about the same
records, each in its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training.draw import Draw, joined, sentence, upper_first
from training.worlds import entities as e

Value = Any
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
                "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Kind:
    """A property that records have: its keys, its spoken names, its values and sentences."""

    keys: tuple[str, ...]
    spoken: tuple[str, ...]
    type: str  # JSON Schema's: string, integer, number, boolean, array
    make: Callable[[Draw], Any]
    told: tuple[str, ...]
    asked: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass
class Field:
    """One property of one record: `key` in JSON, `spoken` in a question, `value`, its sentence."""

    key: str
    spoken: str
    type: str
    value: Value
    shown: str
    told: str
    asked: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of this property."""
        if self.type == "array":
            return {"type": "array", "items": {"type": "string"}}
        if self.options:
            return {"type": "string", "enum": list(self.options)}
        return {"type": self.type}


def _int(low: int, high: int) -> Callable[[Draw], int]:
    return lambda draw: draw.number(low, high)


def _price(draw: Draw) -> float | int:
    if draw.chance(0.3):
        return draw.number(2, 900)
    return draw.number(1, 300) + draw.free((0.5, 0.99, 0.95, 0.25, 0.75, 0.2, 0.49, 0.1, 0.6))


def _some(make: Callable[[Draw], str]) -> Callable[[Draw], list[str]]:
    def several(draw: Draw) -> list[str]:
        found: list[str] = []
        for _ in range(draw.free((1, 2, 2, 3, 3, 4))):
            item = make(draw)
            if item not in found:
                found.append(item)
        return found
    return several


def _flag(draw: Draw) -> bool:
    return draw.chance(0.5)


def _food(draw: Draw) -> str:
    return draw.free(_FOODS)


_FOODS = tuple("rice beans onions garlic butter flour sugar salt pepper eggs milk cheese tomatoes "
               "carrots apples lemons basil honey oats almonds spinach leeks peas mushrooms ham "
               "olives cream yeast cinnamon ginger".split())

# told: "|" parts a boolean's sentences for true from those for false.
_PERSON = Kind(("name", "person", "full_name"), ("name",), "string", e.person,
               ("The name is {}.", "Name: {}.", "This is about {}.", "It concerns {}."),
               ("What is the name?", "Who is it about?"))
_CITY = Kind(("city", "town", "place", "location"), ("town", "city"), "string", e.town,
             ("The town is {}.", "The city is {}.", "It happens in {}.", "City: {}."),
             ("Which town is named?", "What is the city?"))
_CUSTOMER = Kind(("customer", "customer_name", "client", "buyer", "name"), ("customer", "buyer"),
                 "string", e.person,
                 ("The customer is {}.", "{} placed the order.", "Ordered by {}.",
                  "The order was placed by {}.", "Customer: {}.", "{} is the buyer."),
                 ("Who placed the order?", "Who is the customer?", "Who ordered it?"))
_PRODUCT = Kind(("product", "item", "article", "product_name"), ("product", "item"), "string",
                e.product,
                ("The product is the {}.", "The item is the {}.", "It is about the {}.",
                 "Product: {}.", "The article ordered is the {}."),
                ("Which product was ordered?", "What is the product?"))
_QUANTITY = Kind(("quantity", "amount", "count", "pieces"), ("quantity",), "integer", _int(1, 60),
                 ("The quantity is {}.", "Quantity: {}.", "They want {} pieces.",
                  "{} pieces are needed.", "It is {} pieces in all."),
                 ("How many pieces are needed?", "What is the quantity?"))
_PRICE = Kind(("price", "total", "cost", "price_eur"), ("price",), "number", _price,
              ("The price is {} euros.", "It costs {} euros.", "Price: {} euros.",
               "The total is {} euros.", "They pay {} euros."),
              ("How much does it cost?", "What is the price?"))
_ID = Kind(("id", "order_id", "reference", "number", "code"), ("number", "reference"), "string",
           e.code,
           ("The reference is {}.", "The number is {}.", "Reference: {}.", "It has the number {}.",
            "Please quote {}."),
           ("What is the reference?", "What is the number?"))
_PAID = Kind(("paid", "is_paid", "already_paid"), ("paid",), "boolean", _flag,
             ("It is already paid.", "The bill is paid.", "Payment has arrived.", "|",
              "It is not paid yet.", "The bill is still unpaid.", "Payment has not arrived."))
_URGENT = Kind(("urgent", "is_urgent", "express"), ("urgent",), "boolean", _flag,
               ("It is urgent.", "This is very urgent.", "|", "It is not urgent.",
                "There is no hurry."))
_STATUS = Kind(("status", "state"), ("status",), "string", _flag,
               ("The status is {}.", "Status: {}.", "It is {} now.", "At the moment it is {}."),
               ("What is the status?",), ("open", "closed", "shipped", "late", "cancelled", "new"))
_DATE = Kind(("date", "day", "due_date", "delivery_date"), ("date",), "string", e.date,
             ("The date is {}.", "Date: {}.", "It takes place on {}.", "The day is {}."),
             ("What is the date?", "On which day is it?"))
_TIME = Kind(("time", "start", "start_time", "hour"), ("time",), "string", e.time,
             ("It starts at {}.", "The time is {}.", "Time: {}.", "It begins at {}."),
             ("When does it start?", "At what time does it begin?"))
_GUESTS = Kind(("guests", "people", "party_size", "persons"), ("number of guests",), "integer",
               _int(1, 24),
               ("It is for {} people.", "There are {} guests.", "{} people will come.",
                "Guests: {}.", "We are {} people."),
               ("How many people will come?", "How many guests are there?"))
_HOTEL = Kind(("hotel", "hotel_name", "venue"), ("hotel",), "string",
              lambda d: f"Hotel {e.surname(d)}",
              ("They stay at {}.", "The room is at {}.", "{} is booked.", "Hotel name: {}."),
              ("Where do they stay?", "Which hotel is booked?"))
_NIGHTS = Kind(("nights", "night_count", "length"), ("number of nights",), "integer", _int(1, 14),
               ("They stay for {} nights.", "It is for {} nights.", "Nights: {}.",
                "The stay is {} nights long."),
               ("How many nights do they stay?",))
_ROOM = Kind(("room", "room_number", "hall"), ("room",), "string", e.code,
             ("The room is {}.", "Room: {}.", "It is in room {}.", "They meet in room {}."),
             ("Which room is it?", "In which room is it?"))
_EMAIL = Kind(("email", "mail", "email_address", "contact_email"), ("email address",), "string",
              e.email,
              ("The email address is {}", "Email: {}", "Write to {}", "Mail goes to {}"),
              ("What is the email address?", "Where can one write to?"))
_PHONE = Kind(("phone", "telephone", "phone_number", "mobile"), ("phone number",), "string",
              e.phone,
              ("The phone number is {}.", "Call {}.", "Phone: {}.", "The number to call is {}."),
              ("What is the phone number?", "Which number can one call?"))
_STREET = Kind(("street", "address", "street_address"), ("address", "street"), "string", e.street,
               ("The address is {}.", "Address: {}.", "It goes to {}.", "The house is at {}."),
               ("What is the address?", "Where is the house?"))
_COMPANY = Kind(("company", "employer", "firm", "organisation"), ("company",), "string", e.company,
                ("The company is {}.", "Company: {}.", "It is from {}.", "{} is the firm."),
                ("Which company is it?", "What is the company called?"))
_JOB = Kind(("job", "profession", "occupation", "role"), ("job", "profession"), "string", e.job,
            ("The job is {}.", "Profession: {}.", "By profession: {}.", "The role is {}."),
            ("What is the job?", "What is the profession?"))
_AGE = Kind(("age", "age_years", "years"), ("age",), "integer", _int(1, 98),
            ("The age is {}.", "Age: {}.", "The age given is {} years.", "{} years old."),
            ("How old is the person?", "What is the age?"))
_TITLE = Kind(("title", "book", "name", "work"), ("title",), "string", e.title,
              ('The title is "{}".', 'It is called "{}".', 'Title: "{}".', 'The name is "{}".'),
              ("What is the title?", "What is it called?"))
_AUTHOR = Kind(("author", "writer", "written_by"), ("author",), "string", e.person,
               ("The author is {}.", "It was written by {}.", "{} wrote it.", "Author: {}."),
               ("Who wrote it?", "Who is the author?"))
_YEAR = Kind(("year", "published", "year_built"), ("year",), "integer", _int(1850, 2030),
             ("The year is {}.", "It is from {}.", "Year: {}.", "It dates from {}."),
             ("From which year is it?", "What is the year?"))
_PAGES = Kind(("pages", "page_count", "length"), ("number of pages",), "integer", _int(20, 990),
              ("It has {} pages.", "Pages: {}.", "It is {} pages long.", "There are {} pages."),
              ("How many pages does it have?",))
_PET = Kind(("pet", "pet_name", "animal_name", "name"), ("pet",), "string", e.pet_name,
            ("The pet is called {}.", "Its name is {}.", "The animal answers to {}.",
             "Pet: {}."),
            ("What is the pet called?",))
_SPECIES = Kind(("animal", "species", "kind"), ("animal",), "string",
                lambda d: d.free(("dog", "cat", "rabbit", "parrot", "hamster", "pony", "goat",
                                  "turtle", "ferret", "goose")),
                ("It is a {}.", "The animal is a {}.", "Animal: {}.", "We speak of a {}."),
                ("What animal is it?",))
_COLOUR = Kind(("colour", "color"), ("colour",), "string", e.colour,
               ("The colour is {}.", "It is {}.", "Colour: {}.", "It comes in {}."),
               ("What colour is it?", "What is the colour?"))
_OWNER = Kind(("owner", "owner_name", "belongs_to"), ("owner",), "string", e.person,
              ("The owner is {}.", "It belongs to {}.", "Owner: {}.", "{} owns it."),
              ("Who is the owner?", "Whom does it belong to?"))
_WEIGHT = Kind(("weight", "weight_kg", "kilos"), ("weight",), "number", _price,
               ("It weighs {} kg.", "The weight is {} kg.", "Weight: {} kg."),
               ("How much does it weigh?",))
_TEMP = Kind(("temperature", "degrees", "temp"), ("temperature",), "integer", _int(-12, 38),
             ("The temperature is {} degrees.", "It is {} degrees.", "They measured {} degrees.",
              "Temperature: {} degrees."),
             ("What is the temperature?", "How many degrees is it?"))
_SKY = Kind(("weather", "condition", "sky"), ("weather",), "string", _flag,
            ("The weather is {}.", "It is {} today.", "The sky is {}.", "Weather: {}."),
            ("What is the weather like?",), ("sunny", "cloudy", "rainy", "foggy", "windy", "snowy"))
_PARTS = Kind(("ingredients", "foods", "needed"), ("ingredients",), "array", _some(_food),
              ("The ingredients are {}.", "You need {}.", "It is made with {}.",
               "Ingredients: {}."))
_NAMES = Kind(("participants", "members", "guests", "names"), ("participants",), "array",
              _some(e.first_name),
              ("The participants are {}.", "{} will take part.", "With: {}.", "The team is {}."))
_TAGS = Kind(("tags", "keywords", "topics"), ("tags",), "array",
             _some(lambda d: d.free(e.NOUNS)),
             ("The tags are {}.", "Tags: {}.", "It is filed under {}.", "Keywords: {}."))
_TOPIC = Kind(("topic", "subject", "about"), ("topic",), "string", e.product,
              ("The topic is the {}.", "They talk about the {}.", "Topic: {}.",
               "The subject is the {}."),
              ("What is the topic?", "What do they talk about?"))
_CURRENCY = Kind(("currency",), ("currency",), "string", _flag,
                 ("The currency is {}.", "Currency: {}.", "It is in {}."),
                 ("What is the currency?",), ("EUR", "USD", "GBP", "CHF", "JPY", "SEK"))
_PRIORITY = Kind(("priority", "severity", "level"), ("priority",), "string", _flag,
                 ("The priority is {}.", "Priority: {}.", "Its priority: {}."),
                 ("What is the priority?",), ("low", "medium", "high", "critical"))
_SIZE = Kind(("size",), ("size",), "string", _flag,
             ("The size is {}.", "Size: {}.", "It comes in size {}."),
             ("What is the size?",), ("small", "medium", "large", "tiny", "huge"))
_FROM = Kind(("from", "origin", "departure", "from_city"), ("place of departure",), "string",
             e.town, ("It leaves from {}.", "The trip starts in {}.", "From: {}.",
                      "Departure is in {}."),
             ("Where does the trip start?", "Where does it leave from?"))
_TO = Kind(("to", "destination", "arrival", "to_city"), ("destination",), "string", e.town,
           ("It goes to {}.", "The destination is {}.", "To: {}.", "It ends in {}."),
           ("What is the destination?", "Where does it go to?"))

_EATERY = Kind(("restaurant", "place", "venue", "cafe"), ("restaurant",), "string",
               lambda d: d.free((e.surname(d) + "'s", "Cafe " + e.surname(d), e.company(d),
                                 "the " + d.free(e.ADJECTIVES).capitalize() + " "
                                 + d.free(e.NOUNS).capitalize())),
               ("The restaurant is {}.", "We eat at {}.", "The table is at {}.", "Place: {}."),
               ("Where do they eat?", "Which restaurant is it?", "Where is the table?"))
_WEEKDAY = Kind(("day", "weekday", "on"), ("day",), "string", e.weekday,
                ("It is on {}.", "The day is {}.", "Day: {}.", "It happens on {}."),
                ("Which weekday is it?", "Which day is it?", "What day is named?"))
_SALARY = Kind(("salary", "pay", "wage"), ("salary",), "integer", _int(1200, 9900),
               ("The salary is {} euros.", "The pay is {} euros.", "Salary: {} euros.",
                "It pays {} euros a month."),
               ("How much does it pay?", "What is the salary?", "How high is the pay?"))
_HOURS = Kind(("hours", "weekly_hours", "hours_per_week"), ("number of hours",), "integer",
              _int(5, 40), ("It is {} hours a week.", "Hours: {}.", "They work {} hours a week."),
              ("How many hours a week is it?", "How many hours do they work?"))
_RATING = Kind(("rating", "stars", "score"), ("rating",), "integer", _int(1, 5),
               ("I give it {} stars.", "Rating: {}.", "{} stars out of five.",
                "The rating is {}."),
               ("How many stars does it get?", "What is the rating?"))
_BRAND = Kind(("brand", "maker", "manufacturer"), ("maker", "brand"), "string", e.company,
              ("The maker is {}.", "It is made by {}.", "Brand: {}.", "It is a product of {}."),
              ("Who made it?", "What is the brand?", "Who is the maker?"))

DOMAINS: dict[str, tuple[Kind, ...]] = {
    "meal": (_EATERY, _WEEKDAY, _TIME, _GUESTS, _PERSON, _PRICE, _PARTS),
    "notice": (_PET, _SPECIES, _COLOUR, _STREET, _PHONE, _PERSON, _WEEKDAY, _CITY),
    "job offer": (_JOB, _COMPANY, _CITY, _SALARY, _HOURS, _EMAIL, _DATE),
    "review": (_PRODUCT, _BRAND, _RATING, _PRICE, _PERSON, _COLOUR, _YEAR),
    "order": (_CUSTOMER, _PRODUCT, _QUANTITY, _PRICE, _ID, _PAID, _STATUS, _DATE, _CITY, _STREET,
              _URGENT, _COLOUR, _SIZE),
    "booking": (_PERSON, _HOTEL, _NIGHTS, _GUESTS, _CITY, _DATE, _PRICE, _PAID, _PHONE, _ID),
    "contact": (_PERSON, _EMAIL, _PHONE, _STREET, _CITY, _COMPANY, _JOB, _AGE),
    "event": (_TITLE, _DATE, _TIME, _ROOM, _CITY, _NAMES, _TOPIC, _GUESTS),
    "book": (_TITLE, _AUTHOR, _YEAR, _PAGES, _PRICE, _TAGS, _COMPANY),
    "pet": (_PET, _SPECIES, _AGE, _COLOUR, _OWNER, _WEIGHT, _CITY),
    "weather report": (_CITY, _TEMP, _SKY, _DATE, _TIME),
    "recipe": (_TITLE, _PARTS, _GUESTS, _PRICE, _AUTHOR),
    "ticket": (_ID, _PERSON, _PRIORITY, _PRODUCT, _DATE, _STATUS, _EMAIL, _URGENT),
    "trip": (_FROM, _TO, _DATE, _TIME, _PERSON, _PRICE, _GUESTS),
    "invoice": (_ID, _COMPANY, _PRICE, _CURRENCY, _DATE, _PAID, _CUSTOMER),
}
# Sentences that tell several fields at once: text and the kinds that it names, in order.
_COMPOUND: dict[str, tuple[tuple[str, tuple[Kind, ...]], ...]] = {
    "meal": (("Dinner on {} is at {}, {}. Bring money. - {}", (_WEEKDAY, _EATERY, _TIME, _PERSON)),
             ("Hi all, we meet at {} at {} on {}.", (_EATERY, _TIME, _WEEKDAY)),
             ("A table for {} at {}, {}, please.", (_GUESTS, _EATERY, _TIME)),
             ("{} invites {} people to {}.", (_PERSON, _GUESTS, _EATERY)),
             ("Lunch with {} at {} cost {} euros.", (_PERSON, _EATERY, _PRICE))),
    "notice": (("Our {} {} went missing on {} near {}.", (_SPECIES, _PET, _WEEKDAY, _STREET)),
               ("If you see the {} {}, ring {} on {}.", (_COLOUR, _SPECIES, _PERSON, _PHONE)),
               ("Lost: {}, a {} {}. Call {}.", (_PET, _COLOUR, _SPECIES, _PHONE)),
               ("{} from {} is looking for a {}.", (_PERSON, _CITY, _SPECIES))),
    "job offer": (("{} is looking for a {} in {}.", (_COMPANY, _JOB, _CITY)),
                  ("We need a {} for {} hours a week and pay {} euros.", (_JOB, _HOURS, _SALARY)),
                  ("Write to {} before {} if you want to work at {}", (_EMAIL, _DATE, _COMPANY)),
                  ("As a {} you earn {} euros in {}.", (_JOB, _SALARY, _CITY))),
    "review": (("The {} by {} gets {} stars from me.", (_PRODUCT, _BRAND, _RATING)),
               ("I paid {} euros for the {}.", (_PRICE, _PRODUCT)),
               ("{} bought the {} {} from {}.", (_PERSON, _COLOUR, _PRODUCT, _BRAND)),
               ("{} stars! The {} is worth {} euros.", (_RATING, _PRODUCT, _PRICE))),
    "order": (("Hello, I am {} and need {} pieces of the {}.", (_CUSTOMER, _QUANTITY, _PRODUCT)),
              ("{} pieces of the {} cost {} euros.", (_QUANTITY, _PRODUCT, _PRICE)),
              ("The {} goes to {} at {}, {}.", (_PRODUCT, _CUSTOMER, _STREET, _CITY)),
              ("My order {} for the {} has not come. - {}", (_ID, _PRODUCT, _CUSTOMER)),
              ("{} from {} ordered {} pieces of the {}.", (_CUSTOMER, _CITY, _QUANTITY, _PRODUCT)),
              ("{} bought the {} for {} euros.", (_CUSTOMER, _PRODUCT, _PRICE)),
              ("Order {} is for {} and is {}.", (_ID, _CUSTOMER, _STATUS)),
              ("On {} {} ordered the {}.", (_DATE, _CUSTOMER, _PRODUCT)),
              ("Please send {} pieces of the {} to {}, {}.", (_QUANTITY, _PRODUCT, _STREET, _CITY)),
              ("I would like the {} in {}, says {}.", (_PRODUCT, _COLOUR, _CUSTOMER))),
    "booking": (("Dear hotel, I am {} and come on {} for {} nights.", (_PERSON, _DATE, _NIGHTS)),
                ("We are {} people and would like {} nights at {}.", (_GUESTS, _NIGHTS, _HOTEL)),
                ("{} costs {} euros for {} nights.", (_HOTEL, _PRICE, _NIGHTS)),
                ("{} booked {} nights at {} in {}.", (_PERSON, _NIGHTS, _HOTEL, _CITY)),
                ("{} arrives on {} with {} guests.", (_PERSON, _DATE, _GUESTS)),
                ("A table in {} for {} people, in the name of {}.", (_CITY, _GUESTS, _PERSON))),
    "contact": (("Best wishes, {}, {}, {}", (_PERSON, _COMPANY, _PHONE)),
                ("Please call {} from {} on {}.", (_PERSON, _COMPANY, _PHONE)),
                ("{}, {}, lives in {} and works as a {}.", (_PERSON, _AGE, _CITY, _JOB)),
                ("Write to {} at {}", (_PERSON, _EMAIL)),
                ("{} works as a {} at {}.", (_PERSON, _JOB, _COMPANY)),
                ("{} lives at {} in {}.", (_PERSON, _STREET, _CITY)),
                ("{} is {} years old and lives in {}.", (_PERSON, _AGE, _CITY)),
                ("You can reach {} at {} or {}.", (_PERSON, _EMAIL, _PHONE)),
                ("My name is {}, I am {} and I come from {}.", (_PERSON, _AGE, _CITY))),
    "event": (("Do not forget: {} at {}, room {}.", (_DATE, _TIME, _ROOM)),
              ("{} will meet in {} on {}.", (_NAMES, _CITY, _DATE)),
              ("The talk about the {} begins at {} in room {}.", (_TOPIC, _TIME, _ROOM)),
              ('{} people came to "{}" in {}.', (_GUESTS, _TITLE, _CITY)),
              ('"{}" takes place on {} at {} in {}.', (_TITLE, _DATE, _TIME, _CITY)),
              ("Meet in room {} at {} with {}.", (_ROOM, _TIME, _NAMES)),
              ("On {} they talk about the {}.", (_DATE, _TOPIC))),
    "book": (('I read "{}", which {} wrote in {}.', (_TITLE, _AUTHOR, _YEAR)),
             ('The book "{}" costs {} euros and has {} pages.', (_TITLE, _PRICE, _PAGES)),
             ('In {} {} brought out "{}".', (_YEAR, _COMPANY, _TITLE)),
             ('"{}" by {} has {} pages.', (_TITLE, _AUTHOR, _PAGES)),
             ('{} wrote "{}" in {}.', (_AUTHOR, _TITLE, _YEAR))),
    "pet": (("{} has a {} called {}.", (_OWNER, _SPECIES, _PET)),
            ("The {} {} lives with {} in {}.", (_SPECIES, _PET, _OWNER, _CITY)),
            ("{} weighs {} kg and is {} years old.", (_PET, _WEIGHT, _AGE)),
            ("{} is a {} {}.", (_PET, _COLOUR, _SPECIES)),
            ("{} is {} years old and belongs to {}.", (_PET, _AGE, _OWNER)),
            ("My {} {} weighs {} kg.", (_SPECIES, _PET, _WEIGHT))),
    "weather report": (("Today {} is {} with {} degrees.", (_CITY, _SKY, _TEMP)),
                       ("At {} it was {} in {}.", (_TIME, _SKY, _CITY)),
                       ("{}: {}, {} degrees.", (_CITY, _SKY, _TEMP)),
                       ("In {} it is {} and {} degrees.", (_CITY, _SKY, _TEMP)),
                       ("On {} {} had {} degrees.", (_DATE, _CITY, _TEMP))),
    "recipe": (('{} cooks "{}" for {} people.', (_AUTHOR, _TITLE, _GUESTS)),
               ('Take {} and you get "{}".', (_PARTS, _TITLE)),
               ('For "{}" you need {}.', (_TITLE, _PARTS)),
               ('"{}" is enough for {} people.', (_TITLE, _GUESTS))),
    "ticket": (("The {} is broken, please write to {} at {}", (_PRODUCT, _PERSON, _EMAIL)),
               ("On {} {} opened ticket {}.", (_DATE, _PERSON, _ID)),
               ("{} is {} and has {} priority.", (_ID, _STATUS, _PRIORITY)),
               ("{} has a problem with the {}.", (_PERSON, _PRODUCT)),
               ("Ticket {} by {} has the priority {}.", (_ID, _PERSON, _PRIORITY))),
    "trip": (("I want to go from {} to {} on {}.", (_FROM, _TO, _DATE)),
             ("{} flies to {} at {}.", (_PERSON, _TO, _TIME)),
             ("{} tickets to {} please, we start in {}.", (_GUESTS, _TO, _FROM)),
             ("From {} to {} it costs {} euros.", (_FROM, _TO, _PRICE)),
             ("{} travels from {} to {} on {}.", (_PERSON, _FROM, _TO, _DATE)),
             ("The train from {} to {} leaves at {}.", (_FROM, _TO, _TIME)),
             ("A ticket from {} to {} costs {} euros.", (_FROM, _TO, _PRICE))),
    "invoice": (("{} sent invoice {} on {}.", (_COMPANY, _ID, _DATE)),
                ("{} paid {} {} to {}.", (_CUSTOMER, _PRICE, _CURRENCY, _COMPANY)),
                ("Please pay {} euros to {} before {}.", (_PRICE, _COMPANY, _DATE)),
                ("Invoice {} from {} is over {} {}.", (_ID, _COMPANY, _PRICE, _CURRENCY)),
                ("{} owes {} {} euros.", (_CUSTOMER, _COMPANY, _PRICE))),
}
_PREFIXES = ("main", "first", "new", "given", "known", "exact", "stated", "current", "full", "user")
_ANY_TOLD = (
    "The {} is {}.", "{}: {}.", "As {} we noted {}.", "The {} was given as {}.", "Its {} is {}.",
    "For the {} they wrote {}.", "{} is the {}.", "We set the {} to {}.", "The {} reads {}.",
    "They chose {} as the {}.", "The {} will be {}.", "{} = {}.", "{} - {}.",
)
_VALUE_FIRST = ("{} is the {}.", "They chose {} as the {}.")
_ANY_MAKES: tuple[tuple[str, Callable[[Draw], Any]], ...] = (
    ("string", e.person), ("string", e.town), ("string", e.code), ("string", e.product),
    ("string", e.date), ("string", e.company), ("string", e.title), ("string", e.colour),
    ("string", e.time), ("string", lambda d: d.fresh("word", e.made_word)),
    ("integer", _int(0, 999)), ("integer", _int(0, 20)), ("number", _price),
)


def shown(value: Value) -> str:
    """A value as a text writes it."""
    if isinstance(value, list):
        return joined([str(item) for item in value])
    return str(value)


def spelled(draw: Draw, key: str) -> str:
    """A key in one of the usual spellings: order_id, orderId, Order ID."""
    if "_" in key and draw.chance(0.3):
        first, *rest = key.split("_")
        return first + "".join(word.capitalize() for word in rest)
    return key


def _key(draw: Draw, kind: Kind) -> str:
    key = draw.free(kind.keys)
    if draw.chance(0.2):
        key = f"{draw.free(_PREFIXES)}_{key}"
    return spelled(draw, key)


def _value(draw: Draw, kind: Kind) -> tuple[Value, tuple[str, ...]]:
    if kind.options:
        options = tuple(draw.some(kind.options, draw.number(2, len(kind.options))))
        return draw.free(options), options
    return kind.make(draw), ()


def _told(draw: Draw, kind: Kind, value: Value) -> tuple[str, str]:
    """One sentence for a value and the value as it is written there."""
    world = f"told-{kind.keys[0]}"
    if kind.type == "boolean":
        middle = kind.told.index("|")
        told = kind.told[:middle] if value else kind.told[middle + 1:]
        return draw.free(told), ""
    text = shown(value)
    if kind.type == "integer" and 0 <= value <= 12 and draw.chance(0.2):
        text = NUMBER_WORDS[value]
    return sentence(draw.pick(world, kind.told), text), text


def any_field(draw: Draw, taken: set[str]) -> Field:
    """A property with a made-up name: only its words lead to its value."""
    while True:
        spoken = e.label(draw)
        key = spoken.replace(" ", "_")
        if key not in taken:
            break
    if draw.chance(0.07):
        value: Value = draw.chance(0.5)
        told = draw.free(("{}: {}.", "The {} is set: {}.")).format(spoken, "yes" if value else "no")
        return Field(spelled(draw, key), spoken, "boolean", value, "", upper_first(told))
    kind, make = draw.free(_ANY_MAKES)
    value = make(draw)
    told = draw.pick("told-any", _ANY_TOLD)
    pair = (shown(value), spoken) if told in _VALUE_FIRST else (spoken, shown(value))
    return Field(spelled(draw, key), spoken, kind, value, pair[0] if told in _VALUE_FIRST
                 else pair[1], sentence(told, *pair) if told in _VALUE_FIRST
                 else upper_first(told.format(*pair)))


def domain_fields(draw: Draw, domain: str, count: int) -> tuple[list[Field], list[str]]:
    """`count` properties of one kind of record and the sentences of its text, in order."""
    kinds = DOMAINS[domain]
    sentences: list[str] = []
    fields: list[Field] = []
    taken: set[str] = set()

    def add(kind: Kind, value: Value, options: tuple[str, ...], text: str, told: str) -> None:
        key = _key(draw, kind)
        while key in taken:
            key = f"{draw.free(_PREFIXES)}_{key}"
        taken.add(key)
        fields.append(Field(key, draw.free(kind.spoken), kind.type, value, text, told, kind.asked,
                            options))

    used: tuple[Kind, ...] = ()
    if draw.chance(0.6):
        form, used = draw.free(_COMPOUND[domain])
        values = [_value(draw, kind) for kind in used]
        told = sentence(form, *(shown(value) for value, _ in values))
        sentences.append(told)
        for kind, (value, options) in zip(used, values, strict=True):
            add(kind, value, options, shown(value), told)
    rest = [kind for kind in kinds if kind not in used]
    for kind in draw.some(rest, max(0, min(len(rest), count - len(fields)))):
        value, options = _value(draw, kind)
        told, text = _told(draw, kind, value)
        sentences.append(told)
        add(kind, value, options, text, told)
    draw.rng.shuffle(sentences)
    return fields, sentences


def any_fields(draw: Draw, count: int) -> tuple[list[Field], list[str]]:
    """`count` properties with made-up names and their sentences."""
    fields: list[Field] = []
    for _ in range(count):
        fields.append(any_field(draw, {f.spoken.replace(" ", "_") for f in fields}))
    sentences = [field.told for field in fields]
    draw.rng.shuffle(sentences)
    return fields, sentences


NOISE = (
    "Thank you very much.", "Please let us know.", "Nothing else has changed.", "See you soon.",
    "That is all for today.", "We look forward to it.", "Everybody was happy about it.",
    "It was a long day.", "The rest is as usual.", "Have a nice day.", "There is nothing to add.",
    "Please keep this note.", "It is the same as last time.", "The weather did not matter.",
    "We will write again next week.", "Nobody had any questions.",
)


def record(draw: Draw, low: int = 2, high: int = 6) -> tuple[str, list[Field], list[str]]:
    """The name of a kind of record, its fields and its sentences."""
    count = draw.number(low, high)
    if draw.chance(0.45):
        fields, sentences = any_fields(draw, count)
        name = draw.free(("note", "record", "entry", "form", "report", "sheet"))
    else:
        name = draw.free(tuple(DOMAINS))
        fields, sentences = domain_fields(draw, name, count)
    if draw.chance(0.25):
        sentences.insert(draw.number(0, len(sentences)), draw.free(NOISE))
    return name, fields, sentences
