"""Knows the word lists of rookie's worlds; refuses to know any sentence."""

from __future__ import annotations

from training.draw import Draw

HER_NAMES = tuple(
    "Maria Anna Lena Sofia Emma Clara Nora Ida Ella Mia Lucy Grace Ruth Alice Julia Sara Eva Rosa "
    "Hanna Laura Irene Olga Vera Tina Lisa Marta Nina Amara Priya Yuki Fatima Leila Zoe Ines "
    "Carmen Elif Mei Aisha Joan Wendy Helen Paula Greta Kim Dana Petra Susan Linda Amy Kate".split()
)
HIS_NAMES = tuple(
    "Tom Max Ben Leo Paul Sam Jack Noah Finn Otto Karl Hugo Oscar Felix Adam Peter Simon David "
    "Omar Ali Ravi Kenji Ivan Marco Luca Pablo Diego Erik Lars Hans Jan Tim Bob Fred George Henry "
    "Martin Victor Walter Arthur Emil Anton Jonas Daniel Robert Frank Theo Mark Alan John".split()
)
NAMES = HER_NAMES + HIS_NAMES

_STARTS = (
    "Ba Be Bo Bri Ca Co Da De Do El Fa Fe Ga Gre Ha He Ja Jo Ka Ke Ko La Le Li Lo Ma Me Mi Mo Na "
    "Ne Ni No Pa Pe Ra Re Ri Ro Sa Se Sha Sto Ta Te Ti To Va Ve Vi Wa Wi Ya Za Zo Al An Ar Is Or Ul"
).split()
_MIDDLES = "ba da la li lo ma mi na ni no ra re ri ro sa shi ta ti to va vi ke bel dor han".split()
_ENDS = (
    "a ah an ander as bert da din don e el en ert ette ia ian in ina is ka ko la len lin lo lyn "
    "mar na nie no on or ra ric rin ro sa sey son ta ton us va ya"
).split()

_ONSETS = (
    "b br c ch chr cl d dr f fl fr g gl gr h j k kl kr l m n p ph pl pr qu r s sch sh sl sm sp st "
    "str t th tr v w wh x y z b c d f g h j k l m n p r s t v w z"
).split()
_VOWELS = "a e i o u a e i o y ai au ea ee ei eo ia ie io oo ou ue".split()
_CODAS = (
    "b ck d f g ld ll lm lt m n nd ng nn p r rd rg rl rn rt s sh ss st t th tt w x y z n r s t l"
).split()

ANIMALS = (
    "dog", "cat", "fox", "bear", "rabbit", "mouse", "owl", "duck", "frog", "horse", "goat",
    "sheep", "cow", "pig", "hen", "lion", "tiger", "wolf", "deer", "squirrel", "hedgehog",
    "turtle", "elephant", "giraffe", "monkey", "penguin", "otter", "beaver", "badger", "crow",
    "sparrow", "swan", "goose", "whale", "dolphin", "crab", "snail", "bee", "ant", "butterfly",
    "donkey", "camel", "zebra", "panda", "koala", "parrot", "dragon", "robot", "llama", "mole",
    "puppy", "kitten", "seal", "raven", "pony", "lamb", "eagle", "falcon", "stork", "heron",
    "walrus", "moose", "lynx", "weasel", "ferret", "hamster", "gecko", "lizard", "toad", "newt",
    "salmon", "trout", "shark", "octopus", "jellyfish", "starfish", "lobster", "beetle", "spider",
    "cricket", "moth", "firefly", "ladybird", "worm", "kangaroo", "ostrich", "flamingo", "pelican",
    "gorilla", "chimpanzee", "leopard", "cheetah", "hyena", "buffalo", "bison", "antelope", "yak",
    "reindeer", "unicorn", "giant", "dwarf", "fairy", "ghost", "snowman", "troll",
)
JOBS = (
    "baker", "farmer", "teacher", "sailor", "gardener", "painter", "fisherman", "shepherd",
    "tailor", "carpenter", "doctor", "pilot", "cook", "librarian", "postman", "miller", "king",
    "queen", "girl", "boy", "wizard", "princess", "knight", "clockmaker", "musician", "programmer",
    "grandmother", "grandfather", "potter", "nurse", "writer", "judge", "diver", "juggler",
    "beekeeper", "blacksmith", "captain", "chemist", "cobbler", "dancer", "detective", "florist",
    "hunter", "inventor", "magician", "mayor", "mechanic", "merchant", "monk", "poet", "prince",
    "scientist", "singer", "soldier", "weaver", "astronaut",
)
OBJECTS = (
    "key", "book", "coin", "map", "ring", "lamp", "bell", "letter", "feather", "shell", "stone",
    "ball", "hat", "scarf", "button", "mirror", "clock", "flute", "basket", "box", "candle",
    "kite", "drum", "spoon", "cup", "boat", "blanket", "umbrella", "lantern", "violin", "bottle",
    "whistle", "pencil", "seed", "apple", "egg", "rope", "wheel", "picture", "glove", "shoe",
    "necklace", "compass", "paintbrush", "toy car", "pair of glasses", "anchor", "badge",
    "barrel", "broom", "bucket", "camera", "carpet", "chain", "chair", "crown", "cushion", "drawer",
    "fan", "flag", "globe", "hammer", "helmet", "jar", "kettle", "ladder", "magnet", "medal",
    "needle", "pillow", "puzzle", "radio", "ribbon", "robe", "sack", "saddle", "sail", "shovel",
    "sledge", "stamp", "sword", "teapot", "telescope", "tent", "ticket", "trumpet", "vase", "wand",
    "watch", "wagon", "windmill", "yarn",
)
LOOKS = (
    "small", "old", "golden", "silver", "shiny", "red", "blue", "green", "strange", "beautiful",
    "tiny", "heavy", "wooden", "yellow", "broken", "round",
)
CHARACTERS = (
    "small", "young", "old", "kind", "brave", "shy", "clever", "curious", "quiet", "gentle",
    "cheerful", "patient", "careful", "friendly", "lonely",
    "happy", "hungry", "sleepy", "proud", "polite", "clumsy", "tiny", "huge", "grumpy", "honest",
    "funny", "nervous", "wise", "strong", "lazy", "merry", "noisy", "silent", "stubborn", "bold",
)
# Each place carries its preposition, so that no sentence has to guess it.
PLACES = (
    "in a forest", "by the sea", "in a small village", "on a farm", "near a river",
    "in the mountains", "at the edge of a big city", "in a green valley", "on a small island",
    "next to an old mill", "in a quiet garden", "near a lake", "on a hill", "behind a castle",
    "in a little harbour", "close to a wide field", "in an old lighthouse", "beside a long road",
)
SEARCHED = (
    "under the bed", "behind the door", "in the garden", "under an old tree", "near the well",
    "on the bridge", "in the barn", "at the market", "on the path to the river",
    "in the tall grass", "beside the stone wall", "under the kitchen table",
    "in the attic", "on the beach",
    "behind the bakery",
)
FEARS = (
    "the dark", "thunder", "deep water", "loud noises", "high places", "strangers", "the wind",
    "big crowds", "being alone", "the old forest",
)
FOODS = (
    "a pot of soup", "an apple pie", "a loaf of bread", "a plate of pancakes", "a honey cake",
    "a bowl of berries", "a big pizza", "a basket of warm rolls", "a cherry cake",
)
THEMES = (
    "friendship", "the rain", "the sea", "kindness", "courage", "winter", "the moon", "a storm",
    "a long journey", "a birthday", "the first snow", "home", "a garden", "sharing", "the night",
    "a race", "music", "a lost letter", "spring", "hope",
)


def syllable_name(draw: Draw) -> str:
    """A name built from syllables, not declared."""
    middle = draw.free(_MIDDLES) if draw.chance(0.35) else ""
    return draw.free(_STARTS) + middle + draw.free(_ENDS)


def _made_up(draw: Draw) -> str:
    if draw.chance(0.6):
        return syllable_name(draw)
    # Rougher names, whose tokens are as odd as those of a rare real name.
    return "".join(
        draw.free(_ONSETS) + draw.free(_VOWELS) + (draw.free(_CODAS) if draw.chance(0.4) else "")
        for _ in range(draw.free((2, 2, 3)))
    ).capitalize()


def made_up_name(draw: Draw) -> str:
    """A name built from syllables: copying it cannot be replaced by remembering a list."""
    return draw.fresh("name", _made_up)


def any_name(draw: Draw, made_up: float = 0.5) -> str:
    """A name from the lists or a made-up one."""
    return made_up_name(draw) if draw.chance(made_up) else draw.pick("name", NAMES)
