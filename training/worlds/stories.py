"""Knows short stories with a beginning, a trouble and an end; refuses to know anything else."""

from __future__ import annotations

from dataclasses import dataclass

from training.draw import Draw, Exchange, a, upper_first
from training.worlds import entities, words


@dataclass
class Cast:
    """Everything that one story speaks of; each sentence takes its words from here."""

    hero: str  # a noun such as "fox", or "" where the subject is a name only
    name: str
    he: str
    his: str
    him: str
    place: str
    friend: str
    thing: str
    look: str
    trait: str
    spots: list[str]

    def say(self, text: str) -> str:
        """`text` with the cast filled in and an upper-case first letter."""
        return upper_first(text.format(**vars(self), a_thing=a(self.thing),
                                       a_look_thing=a(f"{self.look} {self.thing}"),
                                       a_friend=a(self.friend)))


def _opening(draw: Draw, cast: Cast) -> list[str]:
    when = draw.free(("Once upon a time, there was", "Once there was", "There was once",
                      "Long ago, there was"))
    noun = cast.hero or "child"
    who = a(f"{cast.trait} {noun}")
    form = draw.free((f"{when} {who} named {{name}} who lived {{place}}.",
                      f"{when} {who} who lived {{place}} and was called {{name}}.",
                      f"{{name}} was {who} who lived {{place}}."))
    return [cast.say(form)]


def _find(draw: Draw, cast: Cast) -> list[str]:
    return [
        draw.free(("One morning, {name} found {a_look_thing} {spots[0]}.",
                   "One day, {name} saw something {spots[0]}, and it was {a_look_thing}.",
                   "On a sunny day, {name} went for a walk and found {a_look_thing}.")),
        draw.free(("{he} had never seen such a thing before.",
                   "{he} wondered who had lost it.",
                   '"Who may have lost this {thing}?" {he} asked.')),
        draw.free(("{name} took the {thing} to {his} friend, the {friend}.",
                   "So {name} went to the {friend} and asked for help.")),
        draw.free(('"That is my {thing}!" said the {friend}. "I have looked for it all week."',
                   "The {friend} was very glad, because it had lost this {thing}.",
                   'The {friend} smiled and said, "You have found my {thing}!"')),
        draw.free(("{name} gave the {thing} back at once.",
                   "{name} was happy to give it back.")),
        draw.free(("To say thank you, the {friend} shared a warm supper with {name}.",
                   "The {friend} thanked {name} and invited {him} to tea.")),
        draw.free(("From that day on, they were the best of friends.",
                   "{name} learned that being honest makes good friends.",
                   "That evening, {name} fell asleep with a smile.")),
    ]


def _lost(draw: Draw, cast: Cast) -> list[str]:
    return [
        draw.free(("{name} had {a_look_thing} and loved it very much.",
                   "The thing that {name} loved most was {a_look_thing}.")),
        draw.free(("One day, the {thing} was gone.", "But one morning, the {thing} was gone.")),
        draw.free(("{name} looked {spots[0]} and {spots[1]}, but it was not there.",
                   "{he} searched {spots[0]}, but found nothing.")),
        draw.free(('Then a kind {friend} asked, "Why are you so sad?"',
                   "A friendly {friend} saw that {name} was sad and offered to help.")),
        draw.free(("Together they searched until the sun went down.",
                   "Together they looked everywhere.")),
        draw.free(("At last they found the {thing} {spots[2]}.",
                   "In the end, the {friend} found the {thing} {spots[2]}.")),
        draw.free(("{name} was so happy that {he} danced.",
                   '"Thank you, my friend!" said {name}.',
                   "{name} thanked the {friend} with all {his} heart.")),
        draw.free(("After that, {name} always kept the {thing} in a safe place.",
                   "{name} learned that it is good to ask for help.")),
    ]


def _storm(draw: Draw, cast: Cast) -> list[str]:
    return [
        draw.free(("One evening, a big storm came up.", "One night, a storm began.",
                   "One day, dark clouds came and it began to rain.")),
        draw.free(("The wind was loud, and {name} was afraid.",
                   "The rain was cold, and {name} wanted to hurry home.")),
        draw.free(("Then {name} heard somebody call for help.",
                   "On the way, {name} heard a small voice.")),
        draw.free(("It was a little {friend} who could not find the way home.",
                   "A young {friend} was lost in the rain.")),
        draw.free(('"Come with me," said {name}. "My home is warm and dry."',
                   "{name} took the {friend} home and lit a fire.")),
        draw.free(("They drank hot milk and told each other stories.",
                   "They sat by the fire and sang songs until the storm was over.")),
        draw.free(("In the morning, the sun was shining again.",
                   "The next day, the sky was blue and clear.")),
        draw.free(("{name} was not afraid of storms any more.",
                   "From then on, {name} and the {friend} visited each other every week.")),
    ]


def _brave(draw: Draw, cast: Cast) -> list[str]:
    fear = draw.free(words.FEARS)
    return [
        f"{{name}} was afraid of {fear}.",
        draw.free(("Because of that, {he} often stayed at home.",
                   "{he} did not tell anybody about it.")),
        draw.free(("One day, {his} friend, the {friend}, needed help.",
                   "One day, a small {friend} called for help.")),
        draw.free(("The {friend} had hurt a foot and could not walk.",
                   "The {friend} was stuck and could not move.")),
        draw.free(("{name} was still afraid, but {he} went at once.",
                   "{name} took a deep breath and ran to help.")),
        draw.free(("Step by step, {name} brought the {friend} home.",
                   "With great care, {name} helped the {friend} to get home.")),
        draw.free(('"You are very brave," said the {friend}.',
                   'The {friend} said, "You are the bravest friend I have."')),
        draw.free((f"Since that day, {fear} did not seem so bad.",
                   "{name} learned that you can be afraid and brave at the same time.")),
    ]


def _share(draw: Draw, cast: Cast) -> list[str]:
    food = draw.free(words.FOODS)
    short = food.split(" ", 1)[1]
    return [
        draw.free((f"One day, {{name}} made {food}.",
                   f"On a cold day, {{name}} decided to make {food}.")),
        draw.free(("It smelled wonderful, and the smell went out of the window.",
                   "It took the whole morning, and the house smelled wonderful.")),
        draw.free(("Soon there was a knock at the door.",
                   "Then somebody knocked at the door.")),
        draw.free(("It was a small {friend} who was hungry and tired.",
                   "A little {friend} stood there and looked very hungry.")),
        draw.free((f"{{name}} looked at the {short} and thought for a moment.",
                   "At first {name} did not know what to do.")),
        draw.free(('"Come in," said {name}. "There is enough for two."',
                   "Then {name} smiled and set the table for two.")),
        draw.free(("They ate and laughed until late in the evening.",
                   "They ate together and told each other stories.")),
        draw.free(("{name} had never had a better meal.",
                   "{name} learned that food tastes better when it is shared.",
                   "After that, they ate together every Sunday.")),
    ]


def _journey(draw: Draw, cast: Cast) -> list[str]:
    goal = draw.free(("the sea", "the top of the highest hill", "the big city", "the old castle",
                      "the other side of the river", "the end of the rainbow"))
    return [
        f"{{name}} had always wanted to see {goal}.",
        draw.free(("One spring day, {he} packed a small bag and set out.",
                   "So one morning, {he} took some bread and {a_thing} and set out.")),
        draw.free(("On the way, {he} met a friendly {friend}.",
                   "After an hour, {he} met a little {friend} {spots[0]}.")),
        '"Where are you going?" asked the {friend}.',
        f'"I am going to see {goal}," said {{name}}. "Come with me!"',
        draw.free(("They walked for three days and slept under the stars.",
                   "The way was long, but they sang and were never bored.")),
        draw.free(("When they got there, it was even more beautiful than in their dreams.",
                   "At last they arrived, and both of them were quiet with joy.")),
        draw.free(("Then they went home, and they had a lot to tell.",
                   "{name} learned that a long way is short with a good friend.")),
    ]


def _make(draw: Draw, cast: Cast) -> list[str]:
    return [
        draw.free(("It was the birthday of {his} friend, the {friend}.",
                   "Soon it would be the birthday of {his} friend, the {friend}.")),
        draw.free(("{name} wanted to give the {friend} {a_look_thing}.",
                   "{name} decided that {a_look_thing} would be a good present.")),
        draw.free(("But {name} had no money.", "But {name} could not buy one.")),
        draw.free(("{he} thought about it {spots[0]}.", "So {he} thought about it all night.")),
        draw.free(("Then {he} had an idea and made the {thing} with {his} own hands.",
                   "In the end, {he} made the {thing} all alone.")),
        draw.free(("It was not perfect, but it was made with love.",
                   "It was a little crooked, but it was made with love.")),
        draw.free(('"This is the best present of all!" said the {friend}.',
                   'The {friend} was full of joy and said, "I will keep it forever."')),
        draw.free(("{name} was very proud that day.",
                   "They celebrated until the moon stood high in the sky.")),
    ]


PLOTS = {"find": _find, "lost": _lost, "storm": _storm, "brave": _brave, "share": _share,
         "journey": _journey, "make": _make}
# Which plots fit a theme that somebody may ask for.
_THEME_PLOTS = {
    "the rain": ("storm",), "a storm": ("storm",), "courage": ("brave",), "a birthday": ("make",),
    "a long journey": ("journey",), "the sea": ("journey",), "sharing": ("share",),
    "kindness": ("share", "storm", "find"), "friendship": ("find", "lost", "storm", "journey"),
}

# Two or three words on a subject: {} is it, with its article.
_ABOUT_ASKED = (
    "Tell me a story about {}", "Tell me a story about {}.", "Write a story about {}.",
    "Can you tell me a story about {}?", "Please tell me a story about {}.",
    "I want a story about {}.", "Write a short story about {}.", "Tell me a short story about {}.",
    "Tell a story about {}.", "Do you know a story about {}?", "Make up a story about {}.",
    "I would like to hear a story about {}.", "Give me a story about {}.",
    "Could you write a story about {}?", "A story about {}, please.",
    "Tell me a bedtime story about {}.", "Write me a little story about {}.",
)
_PLAIN_ASKED = (
    "Tell me a story", "Tell me a story.", "Tell me a short story.", "Can you tell me a story?",
    "Write a story.", "Please tell me a story.", "I want to hear a story.",
    "Tell me something nice.",
    "Do you know a story?", "Tell me a bedtime story.", "Write a short story.",
    "Could you tell me a story?", "A story, please.", "Make up a story.", "Tell me a tale.",
    "I would like a story.", "Tell me another story.",
)
_AGAIN_ASKED = ("Another one, please.", "Tell me another one.", "One more, please.",
                "Tell me one more.", "Another story, please.", "Again, please.")


_UNFIT = {
    "puppy": ("old",), "kitten": ("old",), "lamb": ("old",), "girl": ("old",), "boy": ("old",),
    "grandmother": ("young", "small", "old"), "grandfather": ("young", "small", "old"),
}


def _cast(draw: Draw, hero: str, name: str) -> Cast:
    he, his, him = draw.rng.choice((("he", "his", "him"), ("she", "her", "her")))
    if name in words.HER_NAMES or hero in ("queen", "girl", "princess", "grandmother", "cow",
                                           "hen"):
        he, his, him = "she", "her", "her"
    elif name in words.HIS_NAMES or hero in ("king", "boy", "grandfather", "fisherman", "postman"):
        he, his, him = "he", "his", "him"
    # The friend has no name: one name in a story is what a model of this size can keep apart.
    friend = hero
    while friend == hero:
        friend = draw.pick("hero", words.ANIMALS)
    trait = draw.free([word for word in words.CHARACTERS
                       if word not in _UNFIT.get(hero, ())])
    return Cast(hero, name, he, his, him, draw.pick("place", words.PLACES), friend,
                draw.pick("thing", words.OBJECTS), draw.free(words.LOOKS), trait,
                draw.some(words.SEARCHED, 3))


def _hero_name(draw: Draw, hero: str) -> str:
    if hero in ("queen", "girl", "princess", "grandmother", "cow", "hen"):
        return draw.pick("name", words.HER_NAMES[:16])
    if hero in ("king", "boy", "grandfather", "fisherman", "postman"):
        return draw.pick("name", words.HIS_NAMES[:16])
    return words.any_name(draw, 0.25)


def _tell(draw: Draw, cast: Cast, plot: str) -> list[str]:
    # Eight or nine sentences in all.
    return _opening(draw, cast) + [cast.say(text) for text in PLOTS[plot](draw, cast)]


def plain_story(draw: Draw) -> Exchange:
    """A story on no subject, sometimes after another one."""
    hero = draw.pick("hero", words.ANIMALS + words.JOBS)
    cast = _cast(draw, hero, _hero_name(draw, hero))
    story = _tell(draw, cast, draw.free(list(PLOTS)))
    user = draw.ask("ask-story", _PLAIN_ASKED, 6)
    if not draw.chance(0.12):
        return Exchange(user, story, may_shorten=False)
    hero = draw.pick("hero", words.ANIMALS + words.JOBS)
    cast = _cast(draw, hero, _hero_name(draw, hero))
    more = _tell(draw, cast, draw.free(list(PLOTS)))
    return Exchange(draw.free(_AGAIN_ASKED), more, may_shorten=False,
                    before=[("user", user), ("assistant", " ".join(story))])


def story_about(draw: Draw) -> Exchange:
    """A story about a given hero, thing, pair, name or theme; the answer has to use it."""
    shape = draw.free(("hero", "hero", "look", "finds", "finds", "loses", "pair", "named", "name",
                       "theme", "thing", "place"))
    hero = draw.pick("hero", words.ANIMALS + words.JOBS)
    if draw.chance(0.12):
        hero = entities.made_creature(draw)
    cast = _cast(draw, hero, _hero_name(draw, hero))
    plot = draw.free(list(PLOTS))
    subject = a(hero)
    lower = True
    if shape == "look":
        subject = a(f"{cast.trait} {hero}")
    elif shape in ("finds", "loses", "thing"):
        cast.thing = draw.pick("thing", words.OBJECTS)
        plot = {"finds": "find", "loses": "lost"}.get(shape) or draw.free(("find", "lost", "make"))
        subject = f"{a(hero)} {{}} {a(cast.thing)}"
        if shape == "thing":
            subject = a(cast.thing)
            if draw.chance(0.5):
                subject = a(f"{cast.look} {cast.thing}")
        elif draw.chance(0.6):
            subject = subject.format(f"who {shape}")
        else:
            subject = subject.format(f"that {shape}")
    elif shape == "pair":
        subject = f"{a(hero)} and {a(cast.friend)}"
    elif shape == "named":
        if draw.chance(0.7):
            cast.name = words.any_name(draw)
            if cast.name in words.HER_NAMES:
                cast.he, cast.his, cast.him = "she", "her", "her"
            elif cast.name in words.HIS_NAMES:
                cast.he, cast.his, cast.him = "he", "his", "him"
        subject = f"{a(hero)} {draw.free(('named', 'called'))} {cast.name}"
        lower = False
    elif shape == "name":
        cast.hero = draw.free(("girl", "boy"))
        cast.name = draw.pick("name", words.HER_NAMES if cast.hero == "girl" else words.HIS_NAMES)
        cast.he, cast.his, cast.him = (("she", "her", "her") if cast.hero == "girl"
                                       else ("he", "his", "him"))
        subject, lower = cast.name, False
    elif shape == "theme":
        subject = draw.free(list(_THEME_PLOTS))
        plot = draw.free(_THEME_PLOTS[subject])
    elif shape == "place":
        cast.place = draw.pick("place", words.PLACES)
        subject = f"{a(hero)} {draw.free(('', 'who lives ', 'living '))}{cast.place}"
    user = draw.ask("ask-about", _ABOUT_ASKED, 4).format(subject)
    expect = {"thing": cast.thing, "name": cast.name, "theme": None}.get(shape, hero)
    return Exchange(user, _tell(draw, cast, plot), expect, may_shorten=False, may_lower=lower)
