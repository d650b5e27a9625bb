"""Knows how to make names, places, codes, dates and prices; refuses to know any sentence.

Most come from open generators: a model that has to copy a name it cannot remember learns to copy.
"""

from __future__ import annotations

import re

from training.draw import Draw
from training.worlds import words

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALL = "abcdefghijklmnopqrstuvwxyz"
_ONSETS = (
    "b br c ch cl d dr f fl fr g gl gr h j k kl kr l m n p ph pl pr qu r s sch sh sk sl sm sn sp "
    "st str t th tr tw v w wh x y z b c d f g h j k l m n p r s t v w z"
).split()
_VOWELS = "a e i o u a e i o u y ai au ea ee ei eo ia ie io oo ou ue oa uy".split()
_CODAS = (
    "b ck d f g ld ll lm lt m n nd ng nn p r rd rg rl rn rt s sh ss st t th tt w x y z n r s t l "
    "nk "
    "ft mp rk sk ct"
).split()
_TOWN_ENDS = (
    "ton ville burg berg stadt by ham ford mouth haven au wick dale field port bridge minster "
    "kirchen heim hausen rath grad ova ino ella ada os as ir an on um ay ia"
).split()
_SURNAME_ENDS = (
    "son sen er mann ley ton ov ova ski ini etti ez es ard eau ik ak oglu ian dal gren quist wood "
    "field man ing ung el in o a i"
).split()
TOWNS = tuple(
    "Ulm Bern Graz Linz Bonn Kiel Jena Trier Basel Zug Delft Ghent Bruges Lyon Nice Lille Metz "
    "Turin Pisa Parma Genoa Verona Porto Braga Faro Seville Granada Bilbao York Bath Leeds Derby "
    "Exeter Oxford Dover Cork Galway Bergen Aarhus Malmo Turku Tartu Riga Vilnius Krakow Gdansk "
    "Brno Split Varna Izmir Patras Osaka Kyoto Nagoya Pune Jaipur Lagos Accra Tunis Cusco Quito "
    "Medellin Recife Austin Boston Denver Seattle Tampa Toledo Halifax Perth Darwin Hobart".split()
)
NOUNS = tuple(
    "anchor apron arch arrow badge bag barrel basin beam bench blade board bolt bottle bowl "
    "bracket "
    "brick broom bucket cabin cable camera canal card carpet cart case cellar chain chair chart "
    "chest clip coat column cord corner counter crane crate cup curtain cushion deck desk dial "
    "dish "
    "door drawer drill engine fan fence file filter flag floor frame fridge fuse garage garden "
    "gate "
    "gauge glass glove grill handle harbour heater helmet hinge hook hose hotel jacket jar kettle "
    "ladder lamp lantern lens lever lid lock locker magnet mast mat meter mill mirror mixer motor "
    "nail needle net oven paddle page paint panel paper parcel patch pedal pen pillar pillow pipe "
    "plank plate plug pocket pole pond pool pot printer pump rack radio rail ramp ribbon ring robe "
    "rod roof room rope route sail saw scale scarf screen screw seat sensor shelf shirt shovel "
    "sign "
    "sink sledge socket sofa spade speaker spring stage stamp stand station stove strap switch "
    "table "
    "tank tap tape tent ticket tile tool tower track trail tray trolley tube tunnel turbine valve "
    "van "
    "vase wagon wall watch wheel window wire workshop yard".split()
)
ADJECTIVES = tuple(
    "amber ancient bitter blank bold brass bright broad bronze calm central clear cold copper "
    "cotton "
    "crisp curved dark deep dense double dry dusty early eastern empty even faint fine firm flat "
    "fresh front frozen gentle glossy golden grand grey hidden hollow inner iron ivory large late "
    "leather left light linen little local lonely loose lower main marble mild narrow new noble "
    "northern oak old open outer oval pale paper plain plastic polar quick quiet rapid rear rough "
    "round royal rusty salty second sharp short silent silver simple single slim slow small smooth "
    "soft solid southern spare square steel steep still stone straight striped strong sturdy tall "
    "thick thin third tin tiny upper velvet warm western white wide wild wooden wool young".split()
)
JOBS = tuple(
    "baker farmer teacher sailor gardener painter tailor carpenter doctor pilot cook librarian "
    "miller musician programmer potter nurse lawyer dentist plumber electrician chemist florist "
    "butcher barber judge guide diver tutor writer editor singer dancer actor banker driver waiter "
    "cleaner surgeon translator".split()
)
COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "black", "white", "brown", "pink",
           "grey", "turquoise", "violet", "beige")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DOMAINS = ("mail", "post", "example", "office", "web", "home", "work", "inbox")
_TLDS = ("com", "org", "net", "de", "fr", "io", "eu", "uk")


# Syllables meet by chance; these meetings are not wanted, nor are the pirate adapter's own words.
_UNWANTED = re.compile(
    "fuc|fuk|shit|slut|cunt|cock|dick|nig|fag|tit|ass|sex|rap|cum|anal|whor|bitch|piss|nazi|kike|"
    "penis|porn|poo|crap|jew|gay|homo|twat|wank|prick|puss|turd|semen|vagin|boob|slav|dyk|spic|"
    "kkk|hitl|damn|hell|idiot|retar|^arr$|^aye$|^ye$|^yer$|^avast$|^matey"
)


def _syllables(draw: Draw, count: int) -> str:
    while True:
        text = ""
        for _ in range(count):
            text += draw.free(_ONSETS) + draw.free(_VOWELS)
            if draw.chance(0.35):
                text += draw.free(_CODAS)
        if not _UNWANTED.search(text):
            return text


def _clean(draw: Draw, counts: tuple[int, ...], ends: list[str]) -> str:
    while True:
        text = _syllables(draw, draw.free(counts)) + draw.free(ends)
        if not _UNWANTED.search(text):
            return text.capitalize()


def made_word(draw: Draw) -> str:
    """A word that nobody has seen, in lower case."""
    return _syllables(draw, draw.free((1, 2, 2, 2, 3)))


def _made_name(draw: Draw) -> str:
    if draw.chance(0.5):
        return words.syllable_name(draw)
    return _syllables(draw, draw.free((1, 2, 2, 2, 3))).capitalize()


def made_creature(draw: Draw) -> str:
    """An animal that nobody has heard of."""
    return draw.fresh("hero", made_word)


def first_name(draw: Draw) -> str:
    """A given name: from the list or made up."""
    if draw.chance(0.4):
        return draw.pick("name", words.NAMES)
    return draw.fresh("name", _made_name)


def _surname(draw: Draw) -> str:
    return _clean(draw, (1, 1, 2), _SURNAME_ENDS)


def surname(draw: Draw) -> str:
    """A made-up family name."""
    return draw.fresh("surname", _surname)


def person(draw: Draw) -> str:
    """A given name, or a whole name."""
    first = first_name(draw)
    pick = draw.rng.random()
    if pick < 0.5:
        return first
    if pick < 0.95:
        return f"{first} {surname(draw)}"
    return f"{draw.free(('Dr', 'Mr', 'Ms', 'Mrs'))} {surname(draw)}"


def made_town(draw: Draw) -> str:
    """A made-up town, not declared."""
    name = _clean(draw, (1, 1, 2), _TOWN_ENDS)
    if draw.chance(0.15):
        name = draw.free(("New", "Port", "Saint", "Upper", "Bad", "Old", "North",
                          "San")) + " " + name
    return name


def town(draw: Draw) -> str:
    """A town: from the list or made up."""
    if draw.chance(0.35):
        return draw.pick("town", TOWNS)
    return draw.fresh("town", made_town)


def _street(draw: Draw) -> str:
    name = draw.free((_made_name, _surname))(draw)
    kind = draw.free(("Street", "Road", "Lane", "Avenue", "Square", "Way", "Hill", "Close"))
    number = draw.number(1, 180)
    return f"{number} {name} {kind}" if draw.chance(0.7) else f"{name} {kind} {number}"


def street(draw: Draw) -> str:
    """An address in a made-up street."""
    return draw.fresh("street", _street)


def _digits(draw: Draw, count: int) -> str:
    return "".join(str(draw.number(0, 9)) for _ in range(count))


def _code(draw: Draw) -> str:
    letters = "".join(draw.free(_LETTERS) for _ in range(draw.free((1, 2, 2, 3))))
    digits = _digits(draw, draw.free((2, 3, 3, 4, 5)))
    shape = draw.number(0, 7)
    if shape < 3:
        return f"{letters}-{digits}"
    if shape == 3:
        return f"{letters}{digits}"
    if shape == 4:
        return f"{digits}-{letters}"
    if shape == 5:
        return letters[0] + "".join(draw.free(_LETTERS + "0123456789")
                                    for _ in range(draw.number(3, 7)))
    if shape == 6:
        return f"{letters}-{digits}-{_digits(draw, 2)}"
    return f"{draw.free(_SMALL)}{digits}{draw.free(_SMALL)}"


def code(draw: Draw) -> str:
    """An identifier such as KX-204."""
    return draw.fresh("code", _code)


def _email(draw: Draw) -> str:
    name = _made_name(draw).lower()
    if draw.chance(0.5):
        name += draw.free((".", "_", "-")) + _surname(draw).lower()
    elif draw.chance(0.4):
        name += str(draw.number(1, 99))
    host = draw.free(_DOMAINS) if draw.chance(0.4) else made_word(draw)
    return f"{name}@{host}.{draw.free(_TLDS)}"


def email(draw: Draw) -> str:
    """An address of a mailbox."""
    return draw.fresh("email", _email)


def _phone(draw: Draw) -> str:
    return f"0{_digits(draw, draw.free((2, 3)))} {_digits(draw, draw.free((3, 4, 6)))}"


def phone(draw: Draw) -> str:
    """A telephone number."""
    return draw.fresh("phone", _phone)


def made_company(draw: Draw) -> str:
    """A made-up firm, not declared."""
    name = _syllables(draw, draw.free((1, 2, 2))).capitalize()
    shape = draw.number(0, 5)
    if shape == 0:
        return f"{name} & Sons"
    if shape == 1:
        return f"{name} {draw.free(('Ltd', 'Inc', 'GmbH', 'Group', 'Works', 'Partners'))}"
    if shape == 2:
        return f"{name} {draw.free(NOUNS).capitalize()}s"
    if shape == 3:
        return f"{draw.free(ADJECTIVES).capitalize()} {draw.free(NOUNS).capitalize()} Company"
    return name


def company(draw: Draw) -> str:
    """A firm."""
    return draw.fresh("company", made_company)


def _title(draw: Draw) -> str:
    noun, other = draw.free(NOUNS).capitalize(), draw.free(NOUNS).capitalize()
    shape = draw.number(0, 4)
    if shape == 0:
        return f"The {draw.free(ADJECTIVES).capitalize()} {noun}"
    if shape == 1:
        return f"{draw.free(ADJECTIVES).capitalize()} {noun}s"
    if shape == 2:
        return f"The {noun} of {_made_name(draw)}"
    if shape == 3:
        return f"{noun} and {other}"
    return f"{_made_name(draw)}'s {noun}"


def title(draw: Draw) -> str:
    """The name of a book, a film or a song."""
    return draw.fresh("title", _title)


def _product(draw: Draw) -> str:
    shape = draw.number(0, 3)
    if shape == 0:
        name = _syllables(draw, 2).capitalize()
        return f"{name} {draw.free((100, 200, 300, 5, 7, 9, 42, 'X', 'Pro'))}"
    if shape == 1:
        return f"{draw.free(NOUNS)} {draw.free(NOUNS)}"
    return f"{draw.free(ADJECTIVES)} {draw.free(NOUNS)}"


def product(draw: Draw) -> str:
    """Something that can be bought."""
    return draw.fresh("product", _product)


def _phrase(draw: Draw) -> str:
    shape = draw.number(0, 5)
    noun = f"{draw.free(ADJECTIVES)} {draw.free(NOUNS)}"
    if shape == 0:
        return f"the {noun} is {draw.free(ADJECTIVES)}"
    if shape == 1:
        return f"bring the {noun}"
    if shape == 2:
        return f"I will be {draw.number(5, 50)} minutes late"
    if shape == 3:
        return f"check the {noun}"
    if shape == 4:
        return f"call {_made_name(draw)} about the {draw.free(NOUNS)}"
    return f"meet {_made_name(draw)} at the {draw.free(NOUNS)}"


def phrase(draw: Draw) -> str:
    """A few words that somebody wants to be noted or sent."""
    return draw.fresh("phrase", _phrase)


def label(draw: Draw) -> str:
    """The name of a property: one to two lower-case words."""
    if draw.chance(0.25):
        return draw.fresh("label", lambda d: f"{made_word(d)} {d.free(_PROPERTIES)}")
    return draw.fresh("label", lambda d: f"{d.free(NOUNS + ADJECTIVES)} {d.free(_PROPERTIES)}")


_PROPERTIES = tuple(
    "code name number colour owner place town title type group level size price weight date day "
    "time status label key mark team model brand user address host city grade rank unit shape "
    "country street age limit count total version region leader author".split()
)


def iso_date(draw: Draw) -> str:
    """A day as 2026-03-14."""
    return draw.fresh("date", lambda d: f"{d.number(1990, 2035)}-{d.number(1, 12):02}-"
                                        f"{d.number(1, 28):02}")


def spoken_date(draw: Draw) -> str:
    """A day as 14 March, with or without a year."""
    def make(d: Draw) -> str:
        year = f" {d.number(1990, 2035)}" if d.chance(0.5) else ""
        if d.chance(0.3):
            return f"{d.free(MONTHS)} {d.number(1, 28)}" + (f",{year}" if year else "")
        return f"{d.number(1, 28)} {d.free(MONTHS)}{year}"
    return draw.fresh("date", make)


def date(draw: Draw) -> str:
    """A day, in one of several forms."""
    return iso_date(draw) if draw.chance(0.5) else spoken_date(draw)


def time(draw: Draw) -> str:
    """A time of day."""
    if draw.chance(0.7):
        return f"{draw.number(0, 23):02}:{draw.free((0, 5, 10, 15, 20, 30, 40, 45, 50)):02}"
    return f"{draw.number(1, 12)} {draw.free(('am', 'pm'))}"


def weekday(draw: Draw) -> str:
    """A day of the week."""
    return draw.free(DAYS)


def colour(draw: Draw) -> str:
    """A colour."""
    return draw.free(COLOURS)


def job(draw: Draw) -> str:
    """A profession."""
    return draw.pick("job", JOBS)


def pet_name(draw: Draw) -> str:
    """A name for an animal."""
    return draw.fresh("name", lambda d: _syllables(d, d.free((1, 2))).capitalize())
