"""Knows the properties that records have and how a sentence tells each; refuses to know records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from training.draw import Draw
from training.worlds import entities as e


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


def whole(low: int, high: int) -> Callable[[Draw], int]:
    """Makes whole numbers from `low` to `high`."""
    return lambda draw: draw.number(low, high)


def price(draw: Draw) -> float | int:
    """A price or a weight, with up to two decimals."""
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
PERSON = Kind(("name", "person", "full_name"), ("name",), "string", e.person,
               ("The name is {}.", "Name: {}.", "This is about {}.", "It concerns {}."),
               ("What is the name?", "Who is it about?"))
CITY = Kind(("city", "town", "place", "location"), ("town", "city"), "string", e.town,
             ("The town is {}.", "The city is {}.", "It happens in {}.", "City: {}."),
             ("Which town is named?", "What is the city?"))
CUSTOMER = Kind(("customer", "customer_name", "client", "buyer", "name"), ("customer", "buyer"),
                 "string", e.person,
                 ("The customer is {}.", "{} placed the order.", "Ordered by {}.",
                  "The order was placed by {}.", "Customer: {}.", "{} is the buyer."),
                 ("Who placed the order?", "Who is the customer?", "Who ordered it?"))
PRODUCT = Kind(("product", "item", "article", "product_name"), ("product", "item"), "string",
                e.product,
                ("The product is the {}.", "The item is the {}.", "It is about the {}.",
                 "Product: {}.", "The article ordered is the {}."),
                ("Which product was ordered?", "What is the product?"))
QUANTITY = Kind(("quantity", "amount", "count", "pieces"), ("quantity",), "integer", whole(1, 60),
                 ("The quantity is {}.", "Quantity: {}.", "They want {} pieces.",
                  "{} pieces are needed.", "It is {} pieces in all."),
                 ("How many pieces are needed?", "What is the quantity?"))
PRICE = Kind(("price", "total", "cost", "price_eur"), ("price",), "number", price,
              ("The price is {} euros.", "It costs {} euros.", "Price: {} euros.",
               "The total is {} euros.", "They pay {} euros."),
              ("How much does it cost?", "What is the price?"))
ID = Kind(("id", "order_id", "reference", "number", "code"), ("number", "reference"), "string",
           e.code,
           ("The reference is {}.", "The number is {}.", "Reference: {}.", "It has the number {}.",
            "Please quote {}."),
           ("What is the reference?", "What is the number?"))
PAID = Kind(("paid", "is_paid", "already_paid"), ("paid",), "boolean", _flag,
             ("It is already paid.", "The bill is paid.", "Payment has arrived.", "|",
              "It is not paid yet.", "The bill is still unpaid.", "Payment has not arrived."))
URGENT = Kind(("urgent", "is_urgent", "express"), ("urgent",), "boolean", _flag,
               ("It is urgent.", "This is very urgent.", "|", "It is not urgent.",
                "There is no hurry."))
STATUS = Kind(("status", "state"), ("status",), "string", _flag,
               ("The status is {}.", "Status: {}.", "It is {} now.", "At the moment it is {}."),
               ("What is the status?",), ("open", "closed", "shipped", "late", "cancelled", "new"))
DATE = Kind(("date", "day", "due_date", "delivery_date"), ("date",), "string", e.date,
             ("The date is {}.", "Date: {}.", "It takes place on {}.", "The day is {}."),
             ("What is the date?", "On which day is it?"))
TIME = Kind(("time", "start", "start_time", "hour"), ("time",), "string", e.time,
             ("It starts at {}.", "The time is {}.", "Time: {}.", "It begins at {}."),
             ("When does it start?", "At what time does it begin?"))
GUESTS = Kind(("guests", "people", "party_size", "persons"), ("number of guests",), "integer",
               whole(1, 24),
               ("It is for {} people.", "There are {} guests.", "{} people will come.",
                "Guests: {}.", "We are {} people."),
               ("How many people will come?", "How many guests are there?"))
HOTEL = Kind(("hotel", "hotel_name", "venue"), ("hotel",), "string",
              lambda d: f"Hotel {e.surname(d)}",
              ("They stay at {}.", "The room is at {}.", "{} is booked.", "Hotel name: {}."),
              ("Where do they stay?", "Which hotel is booked?"))
NIGHTS = Kind(("nights", "night_count", "length"), ("number of nights",), "integer", whole(1, 14),
               ("They stay for {} nights.", "It is for {} nights.", "Nights: {}.",
                "The stay is {} nights long."),
               ("How many nights do they stay?",))
ROOM = Kind(("room", "room_number", "hall"), ("room",), "string", e.code,
             ("The room is {}.", "Room: {}.", "It is in room {}.", "They meet in room {}."),
             ("Which room is it?", "In which room is it?"))
EMAIL = Kind(("email", "mail", "email_address", "contact_email"), ("email address",), "string",
              e.email,
              ("The email address is {}", "Email: {}", "Write to {}", "Mail goes to {}"),
              ("What is the email address?", "Where can one write to?"))
PHONE = Kind(("phone", "telephone", "phone_number", "mobile"), ("phone number",), "string",
              e.phone,
              ("The phone number is {}.", "Call {}.", "Phone: {}.", "The number to call is {}."),
              ("What is the phone number?", "Which number can one call?"))
STREET = Kind(("street", "address", "street_address"), ("address", "street"), "string", e.street,
               ("The address is {}.", "Address: {}.", "It goes to {}.", "The house is at {}."),
               ("What is the address?", "Where is the house?"))
COMPANY = Kind(("company", "employer", "firm", "organisation"), ("company",), "string", e.company,
                ("The company is {}.", "Company: {}.", "It is from {}.", "{} is the firm."),
                ("Which company is it?", "What is the company called?"))
JOB = Kind(("job", "profession", "occupation", "role"), ("job", "profession"), "string", e.job,
            ("The job is {}.", "Profession: {}.", "By profession: {}.", "The role is {}."),
            ("What is the job?", "What is the profession?"))
AGE = Kind(("age", "age_years", "years"), ("age",), "integer", whole(1, 98),
            ("The age is {}.", "Age: {}.", "The age given is {} years.", "{} years old."),
            ("How old is the person?", "What is the age?"))
TITLE = Kind(("title", "book", "name", "work"), ("title",), "string", e.title,
              ('The title is "{}".', 'It is called "{}".', 'Title: "{}".', 'The name is "{}".'),
              ("What is the title?", "What is it called?"))
AUTHOR = Kind(("author", "writer", "written_by"), ("author",), "string", e.person,
               ("The author is {}.", "It was written by {}.", "{} wrote it.", "Author: {}."),
               ("Who wrote it?", "Who is the author?"))
YEAR = Kind(("year", "published", "year_built"), ("year",), "integer", whole(1850, 2030),
             ("The year is {}.", "It is from {}.", "Year: {}.", "It dates from {}."),
             ("From which year is it?", "What is the year?"))
PAGES = Kind(("pages", "page_count", "length"), ("number of pages",), "integer", whole(20, 990),
              ("It has {} pages.", "Pages: {}.", "It is {} pages long.", "There are {} pages."),
              ("How many pages does it have?",))
PET = Kind(("pet", "pet_name", "animal_name", "name"), ("pet",), "string", e.pet_name,
            ("The pet is called {}.", "Its name is {}.", "The animal answers to {}.",
             "Pet: {}."),
            ("What is the pet called?",))
SPECIES = Kind(("animal", "species", "kind"), ("animal",), "string",
                lambda d: d.free(("dog", "cat", "rabbit", "parrot", "hamster", "pony", "goat",
                                  "turtle", "ferret", "goose")),
                ("It is a {}.", "The animal is a {}.", "Animal: {}.", "We speak of a {}."),
                ("What animal is it?",))
COLOUR = Kind(("colour", "color"), ("colour",), "string", e.colour,
               ("The colour is {}.", "It is {}.", "Colour: {}.", "It comes in {}."),
               ("What colour is it?", "What is the colour?"))
OWNER = Kind(("owner", "owner_name", "belongs_to"), ("owner",), "string", e.person,
              ("The owner is {}.", "It belongs to {}.", "Owner: {}.", "{} owns it."),
              ("Who is the owner?", "Whom does it belong to?"))
WEIGHT = Kind(("weight", "weight_kg", "kilos"), ("weight",), "number", price,
               ("It weighs {} kg.", "The weight is {} kg.", "Weight: {} kg."),
               ("How much does it weigh?",))
TEMP = Kind(("temperature", "degrees", "temp"), ("temperature",), "integer", whole(-12, 38),
             ("The temperature is {} degrees.", "It is {} degrees.", "They measured {} degrees.",
              "Temperature: {} degrees."),
             ("What is the temperature?", "How many degrees is it?"))
SKY = Kind(("weather", "condition", "sky"), ("weather",), "string", _flag,
            ("The weather is {}.", "It is {} today.", "The sky is {}.", "Weather: {}."),
            ("What is the weather like?",), ("sunny", "cloudy", "rainy", "foggy", "windy", "snowy"))
PARTS = Kind(("ingredients", "foods", "needed"), ("ingredients",), "array", _some(_food),
              ("The ingredients are {}.", "You need {}.", "It is made with {}.",
               "Ingredients: {}."))
NAMES = Kind(("participants", "members", "guests", "names"), ("participants",), "array",
              _some(e.first_name),
              ("The participants are {}.", "{} will take part.", "With: {}.", "The team is {}."))
TAGS = Kind(("tags", "keywords", "topics"), ("tags",), "array",
             _some(lambda d: d.free(e.NOUNS)),
             ("The tags are {}.", "Tags: {}.", "It is filed under {}.", "Keywords: {}."))
TOPIC = Kind(("topic", "subject", "about"), ("topic",), "string", e.product,
              ("The topic is the {}.", "They talk about the {}.", "Topic: {}.",
               "The subject is the {}."),
              ("What is the topic?", "What do they talk about?"))
CURRENCY = Kind(("currency",), ("currency",), "string", _flag,
                 ("The currency is {}.", "Currency: {}.", "It is in {}."),
                 ("What is the currency?",), ("EUR", "USD", "GBP", "CHF", "JPY", "SEK"))
PRIORITY = Kind(("priority", "severity", "level"), ("priority",), "string", _flag,
                 ("The priority is {}.", "Priority: {}.", "Its priority: {}."),
                 ("What is the priority?",), ("low", "medium", "high", "critical"))
SIZE = Kind(("size",), ("size",), "string", _flag,
             ("The size is {}.", "Size: {}.", "It comes in size {}."),
             ("What is the size?",), ("small", "medium", "large", "tiny", "huge"))
FROM = Kind(("from", "origin", "departure", "from_city"), ("place of departure",), "string",
             e.town, ("It leaves from {}.", "The trip starts in {}.", "From: {}.",
                      "Departure is in {}."),
             ("Where does the trip start?", "Where does it leave from?"))
TO = Kind(("to", "destination", "arrival", "to_city"), ("destination",), "string", e.town,
           ("It goes to {}.", "The destination is {}.", "To: {}.", "It ends in {}."),
           ("What is the destination?", "Where does it go to?"))

EATERY = Kind(("restaurant", "place", "venue", "cafe"), ("restaurant",), "string",
               lambda d: d.free((e.surname(d) + "'s", "Cafe " + e.surname(d), e.company(d),
                                 "the " + d.free(e.ADJECTIVES).capitalize() + " "
                                 + d.free(e.NOUNS).capitalize())),
               ("The restaurant is {}.", "We eat at {}.", "The table is at {}.", "Place: {}."),
               ("Where do they eat?", "Which restaurant is it?", "Where is the table?"))
WEEKDAY = Kind(("day", "weekday", "on"), ("day",), "string", e.weekday,
                ("It is on {}.", "The day is {}.", "Day: {}.", "It happens on {}."),
                ("Which weekday is it?", "Which day is it?", "What day is named?"))
SALARY = Kind(("salary", "pay", "wage"), ("salary",), "integer", whole(1200, 9900),
               ("The salary is {} euros.", "The pay is {} euros.", "Salary: {} euros.",
                "It pays {} euros a month."),
               ("How much does it pay?", "What is the salary?", "How high is the pay?"))
HOURS = Kind(("hours", "weekly_hours", "hours_per_week"), ("number of hours",), "integer",
              whole(5, 40), ("It is {} hours a week.", "Hours: {}.", "They work {} hours a week."),
              ("How many hours a week is it?", "How many hours do they work?"))
RATING = Kind(("rating", "stars", "score"), ("rating",), "integer", whole(1, 5),
               ("I give it {} stars.", "Rating: {}.", "{} stars out of five.",
                "The rating is {}."),
               ("How many stars does it get?", "What is the rating?"))
BRAND = Kind(("brand", "maker", "manufacturer"), ("maker", "brand"), "string", e.company,
              ("The maker is {}.", "It is made by {}.", "Brand: {}.", "It is a product of {}."),
              ("Who made it?", "What is the brand?", "Who is the maker?"))
