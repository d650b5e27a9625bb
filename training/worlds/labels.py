"""Knows texts that belong to a class and how classes are asked for; refuses to invent a class."""

from __future__ import annotations

from training.checks import ExactCheck
from training.draw import Draw, Exchange, joined, upper_first
from training.worlds import entities as e

# Each topic has words; a text on it names two or three of them.
TOPICS: dict[str, tuple[str, ...]] = {
    "sports": ("match", "goal", "team", "coach", "stadium", "race", "referee", "tennis", "football",
               "league", "trophy", "swimmer", "runner", "score", "tournament", "medal"),
    "food": ("soup", "recipe", "cheese", "bread", "dinner", "restaurant", "cook", "sauce", "salad",
             "dessert", "kitchen", "breakfast", "pepper", "menu", "pasta", "oven"),
    "weather": ("rain", "snow", "storm", "sunshine", "clouds", "temperature", "wind", "fog",
                "thunder", "forecast", "frost", "heat", "hail", "drizzle", "umbrella"),
    "travel": ("flight", "hotel", "passport", "suitcase", "airport", "beach", "tourist", "trip",
               "train", "cruise", "guide", "holiday", "map", "border", "journey"),
    "music": ("song", "concert", "guitar", "piano", "band", "singer", "melody", "drums", "album",
              "choir", "violin", "orchestra", "rhythm", "radio", "tune"),
    "health": ("doctor", "medicine", "hospital", "fever", "pain", "nurse", "headache", "cough",
               "vitamin", "sleep", "pulse", "bandage", "clinic", "pill", "dentist"),
    "money": ("bank", "loan", "tax", "salary", "interest", "budget", "invoice", "savings", "credit",
              "shares", "debt", "profit", "coin", "wallet", "fee"),
    "computers": ("software", "keyboard", "server", "file", "password", "program", "laptop",
                  "update", "printer", "network", "bug", "screen", "database", "website", "mouse"),
    "animals": ("dog", "cat", "horse", "zoo", "bird", "paw", "nest", "fur", "rabbit", "feather",
                "kitten", "stable", "tail", "whale", "puppy"),
    "school": ("teacher", "lesson", "homework", "exam", "pupil", "classroom", "textbook", "grade",
               "student", "blackboard", "university", "essay", "timetable", "diploma"),
    "garden": ("flower", "tree", "seed", "soil", "rose", "lawn", "hedge", "watering can", "weed",
               "tulip", "compost", "greenhouse", "leaf", "spade"),
    "politics": ("election", "minister", "law", "parliament", "vote", "party", "government",
                 "president", "mayor", "campaign", "treaty", "senate", "ballot"),
    "cars": ("engine", "wheel", "brake", "driver", "motorway", "garage", "petrol", "tyre",
             "gearbox", "traffic", "steering wheel", "bonnet", "parking"),
    "films": ("actor", "cinema", "director", "scene", "movie", "camera", "script", "premiere",
              "screenplay", "trailer", "sequel", "stuntman"),
    "space": ("planet", "rocket", "moon", "astronaut", "star", "orbit", "telescope", "comet",
              "galaxy", "satellite", "spaceship", "crater"),
    "fashion": ("dress", "shirt", "shoes", "jacket", "fabric", "tailor", "skirt", "scarf", "coat",
                "button", "trousers", "collar"),
}
_TOPIC_FORMS = (
    "The {0} and the {1} were the talk of the day.", "We spoke about the {0} and the {1}.",
    "I think the {0} was better than the {1}.", "Yesterday the {0} was near the {1}.",
    "My question is about the {0} and a {1}.", "There is news about the {0}: the {1} has changed.",
    "{2} told me about the {0} and the {1}.", "In {3} everybody looks at the {0} and the {1}.",
    "First came the {0}, then the {1}.", "Do you know more about the {0} and the {1}?",
    "{2} needs a new {0}, and the {1} is old.", "The {0} again! And no {1} at all.",
    "They want to see the {0} before the {1}.", "It all began with the {0} and the {1}.",
)
GOOD = ("wonderful", "great", "excellent", "lovely", "fantastic", "perfect", "amazing", "brilliant",
         "delightful", "superb", "pleasant", "beautiful", "charming", "very good", "splendid",
         "impressive", "outstanding", "marvellous", "nice", "enjoyable", "good", "really good",
        "friendly", "comfortable", "tasty", "clean and fresh", "helpful", "the best", "so kind")
BAD = ("terrible", "awful", "bad", "horrible", "poor", "disappointing", "dreadful", "boring",
        "useless", "ugly", "broken", "annoying", "very bad", "miserable", "unpleasant", "dirty",
        "rude", "worthless", "nasty", "disgusting", "really bad", "too expensive", "cold and stale",
       "unfriendly", "late again", "the worst", "not good", "not worth the money", "full of faults")
_PLAIN = ("square", "made of wood", "on the table", "new here", "in the next room",
          "from last year",
          "about a metre long", "made in {3}", "on the second floor", "open on Mondays", "grey",
          "in a box", "next to the {4}", "for two people")
_MOOD_FORMS = ("The {4} is {0}.", "I think that the {4} is {0}.", "The {4} was {0}.",
               "{2} says that the {4} is {0}.", "What I got is {0}.", "In {3} the {4} was {0}.",
               "Our {4} is {0}, as you know.", "It is {0}, this {4}.", "The new {4} seems {0}.")
_GOOD_MORE = ("I love it.", "I would buy it again.", "Thank you so much!", "We are very happy.",
              "It made my day.", "I can recommend it.", "We enjoyed every minute.", "Well done!")
_BAD_MORE = ("I hate it.", "I want my money back.", "Never again!", "We are very unhappy.",
             "It ruined my day.", "I cannot recommend it.", "What a waste of time.",
             "Shame on you!")
# What customers write about; {kw} stands in frames that all classes share.
_SUBJECTS: dict[str, tuple[str, ...]] = {
    "billing": ("my bill", "the invoice {1}", "this charge", "the payment", "my credit card",
                "the amount on the bill", "the invoice", "the price on my bill", "the fee",
                "a payment that I never made", "the bank transfer"),
    "delivery": ("my parcel", "the shipment", "the driver", "the delivery", "the package {1}",
                 "the courier", "my parcel to {3}", "the delivery date", "the shipping",
                 "the package"),
    "technical": ("the login", "the app", "an error message", "my password", "the web page",
                  "the update", "the software", "error {1}", "the settings in the app",
                  "the connection", "a crash"),
    "cancellation": ("cancelling my contract", "the end of my subscription", "my cancellation",
                     "cancelling order {1}", "ending my membership", "stopping my plan",
                     "how to cancel", "leaving the contract early"),
    "refund": ("my refund", "getting my money back", "the refund for the {4}",
               "the money you owe me", "the refund of order {1}", "a refund",
               "money back for the {4}"),
    "appointment": ("my appointment", "a meeting on Monday", "the appointment with {2}",
                    "a new date for my visit", "the meeting with {2}", "a free slot on Friday",
                    "moving my appointment"),
}
_SUBJECT_FRAMES = (
    "I have a question about {kw}.", "There is a problem with {kw}.", "Can you check {kw}?",
    "It is about {kw}.", "I need help with {kw}.", "What about {kw}?",
    "Hello, this is {2}, about {kw}.", "I wrote to you last week about {kw}.",
    "Please tell me more about {kw}.", "Who takes care of {kw}?", "I do not understand {kw}.",
    "Something is wrong with {kw}.", "We have trouble with {kw} again.",
    "Could somebody look at {kw}?", "My question concerns {kw}.", "I am calling because of {kw}.",
    "Why is nobody answering about {kw}?", "I would like to talk about {kw}.",
    "{2} told me to ask about {kw}.",
)
_INTENTS: dict[str, tuple[str, ...]] = {
    "billing": ("I was charged twice for {1}.", "Why is my bill so high?",
                "Please send the invoice for {1}.", "The payment of {1} failed.",
                "The amount on the invoice is wrong."),
    "delivery": ("My parcel {1} has not arrived.", "When will the {4} be delivered?",
                 "The driver left the parcel in {3}.", "Where is my shipment?",
                 "The package came to {3}, but I live elsewhere.", "Can you deliver it on Friday?"),
    "technical": ("The app crashes when I open it.", "I cannot log in.",
                  "The screen shows error {1}.", "The web page does not load.",
                  "My password does not work.", "The software freezes after the update."),
    "cancellation": ("I want to cancel my contract.", "Please end my subscription.",
                     "Cancel the order {1}.", "I no longer need the {4}, please cancel it.",
                     "How can I end my membership?", "Stop my plan, please."),
    "refund": ("I want my money back for the {4}.", "Please refund order {1}.",
               "When do I get my money back?", "I sent the {4} back and wait for the refund."),
    "appointment": ("Can I have an appointment on Monday?", "I need to move my appointment.",
                    "Is there a free slot on Friday?", "I cannot come to the meeting with {2}."),
}
_URGENCY = {
    "urgent": ("Help, we need it right now!", "This cannot wait, the {4} is on fire!",
               "Please answer at once, it is an emergency.", "The server is down, act now!",
               "Immediately call {2}, there is danger!", "We have only minutes left!"),
    "not urgent": ("Whenever you have time, look at the {4}.", "There is no hurry with the {4}.",
                   "Sometime next month {2} wants to talk.", "It can wait until spring.",
                   "Take your time with the {4}.", "No need to answer soon."),
}
_SPAM = {
    "spam": ("You won a prize! Click here!", "Buy cheap pills now!", "Earn money from home, click!",
             "Free {4} for you, only today, click now!", "Claim your free gift at once!",
             "You are the lucky winner of a new {4}!"),
    "no spam": ("Can we meet at {3} on Monday?", "{2} sent you the notes.", "Dinner is at seven.",
                "I put the {4} on your desk.", "The meeting moved to room {1}.",
                "See you at the {4}, {2}."),
}
_ASKED = (
    "{}?",
    "Classify the text as {}.", "Which label fits: {}?", "Choose one label: {}.",
    "Label the text. Labels: {}.", "Is it {}?", "Pick one of {}.", "Sort this into {}.",
    "The classes are {}. Which one is it?", "Answer with one of these labels: {}.",
    "Decide between {}.", "Possible labels: {}. Give the right one.", "What is it: {}?",
    "Categories: {}. Choose one.", "Tag this text with one of: {}.", "Categorise as {}.",
    "Give the right class out of {}.", "Name the fitting label ({}).", "Options: {}.",
    "Assign one label from: {}.", "Reply with {} only.", "{}: which one?", "So, {}?",
    "Would you call this {}?", "Say whether it is {}.", "Tell me if this is {}.",
    "You sort messages into {}.", "You are a classifier. Labels: {}.",
    "Every message gets one of these labels: {}.", "Put the message into one class: {}.",
)
_ONLY = ("Answer with the label only.", "Only the label.", "Give just the label.",
         "Reply with the label and nothing else.", "One label, no other words.", "")
_FORMS = ("{ask}\n\n{text}", "{ask}\nText: {text}", "{text}\n\n{ask}", '{ask} "{text}"',
          "Text: {text}\n{ask}", '"{text}"\n{ask}', "{ask}\n\nMessage: {text}")


def filled(draw: Draw, form: str, first: str = "", second: str = "") -> str:
    """The form with its words; names and codes are made only where the form has a place."""
    values = [first, second, "", "", ""]
    if "{2}" in form:
        values[2] = e.first_name(draw)
    if "{3}" in form:
        values[3] = e.town(draw)
    if "{4}" in form:
        values[4] = draw.free(e.NOUNS)
    return upper_first(form.format(*values))


def topic_text(draw: Draw, topic: str) -> str:
    """A sentence on a topic."""
    # The words themselves are known: they make the class. A held-out pair of them is new.
    first, second = draw.fresh(
        f"topic-{topic}", lambda d: "|".join(d.some(TOPICS[topic], 2))
    ).split("|")
    return filled(draw, draw.pick("form-topic", _TOPIC_FORMS), first, second)


def mood_text(draw: Draw, mood: str) -> str:
    """A sentence that is positive, negative or neutral."""
    form = draw.pick("form-mood", _MOOD_FORMS)
    words, more = {"positive": (GOOD, _GOOD_MORE), "negative": (BAD, _BAD_MORE),
                   "neutral": (_PLAIN, ())}[mood]
    if more and draw.chance(0.2):
        return draw.free(more)
    word = draw.free(words)
    if "{" in word:
        word = filled(draw, word)
        word = word[0].lower() + word[1:]
    text = filled(draw, form, word)
    if more and draw.chance(0.4):
        text += " " + draw.free(more)
    return text


def _support_text(draw: Draw, table: dict[str, tuple[str, ...]], label: str) -> str:
    form = draw.free(table[label])
    return filled(draw, form, "", e.code(draw) if "{1}" in form else "")


def _spelling(draw: Draw, labels: list[str]) -> dict[str, str]:
    """The labels as the prompt writes them."""
    style = draw.number(0, 5)
    if style == 0:
        return {label: label.upper() for label in labels}
    if style == 1:
        return {label: upper_first(label) for label in labels}
    if style == 2:
        return {label: label.replace(" ", "_") for label in labels}
    return {label: label for label in labels}


def text_of(draw: Draw, label: str) -> str:
    """A text of a class."""
    if label in TOPICS:
        return topic_text(draw, label)
    if label in ("positive", "negative", "neutral"):
        return mood_text(draw, label)
    if label in _SUBJECTS and draw.chance(0.7):
        frame = draw.pick("form-subject", _SUBJECT_FRAMES)
        frame = frame.replace("{kw}", draw.free(_SUBJECTS[label]))
        return filled(draw, frame, "", e.code(draw) if "{1}" in frame else "")
    for table in (_INTENTS, _URGENCY, _SPAM):
        if label in table:
            return _support_text(draw, table, label)
    raise KeyError(label)


def label_item(draw: Draw) -> tuple[str, str, list[str]]:
    """A text, its class, and the classes to choose from."""
    shape = draw.number(0, 9)
    if shape < 4:
        labels = draw.some(tuple(TOPICS), draw.free((2, 3, 3, 4, 5)))
        label = draw.free(labels)
        text = text_of(draw, label)
        if draw.chance(0.25):
            text += " " + topic_text(draw, label)
    elif shape < 7:
        labels = ["positive", "negative"]
        if draw.chance(0.6):
            labels.append("neutral")
        if draw.chance(0.4):
            draw.rng.shuffle(labels)
        label = draw.free(labels)
        text = text_of(draw, label)
    elif shape < 9:
        labels = draw.some(tuple(_INTENTS), draw.free((2, 3, 4, 5)))
        label = draw.free(labels)
        text = text_of(draw, label)
    else:
        labels = draw.some(tuple(draw.free((_URGENCY, _SPAM))), 2)
        label = draw.free(labels)
        text = text_of(draw, label)
    return text, label, labels


def label(draw: Draw) -> Exchange:
    """A text and the labels of which one fits."""
    text, right, labels = label_item(draw)
    spelled = _spelling(draw, labels)
    names = [spelled[item] for item in labels]
    if draw.chance(0.15):
        names = [f'"{name}"' for name in names]
    shape = draw.number(0, 3)
    listed = (", ".join(names) if shape < 2 else " or ".join([", ".join(names[:-1]), names[-1]])
              if shape == 2 else " / ".join(names) if draw.chance(0.5) else joined(names))
    ask = draw.ask("ask-label", _ASKED, 3).format(listed)
    only = draw.free(_ONLY)
    ask = f"{ask} {only}".strip()
    answer = spelled[right]
    check = ExactCheck("label", answer)
    if draw.chance(0.45):
        if draw.chance(0.3):
            text = draw.free(("Text: {}", "Message: {}", '"{}"', "Review: {}")).format(text)
        before: list[tuple[str, str]] = []
        for _ in range(draw.free((1, 2, 3)) if draw.chance(0.15) else 0):
            other = draw.free(labels)
            before += [("user", text_of(draw, other)), ("assistant", spelled[other])]
        return Exchange(text, [answer], check=check, system=ask, before=before, may_bend=False,
                        may_lower=False)
    user = draw.ask("form-label", _FORMS, 2).format(ask=ask, text=text)
    return Exchange(user, [answer], check=check, may_bend=False, may_lower=False)
