"""Knows questions about a given text; refuses to answer from anything but that text."""

from __future__ import annotations

from collections.abc import Callable

from training.checks import AnyCheck, SpanCheck
from training.draw import Draw, Exchange, upper_first
from training.wordings import texts
from training.worlds import entities as e
from training.worlds import records

_ASK_ANY = (
    "What is the {}?", "Tell me the {}.", "What is the {} in the text?", "Which {} is named?",
    "Give me the {}.", "Find the {}.", "What does the text say about the {}?", "The {}?",
    "Do you see the {}?", "What is given as the {}?", "Please find the {}.", "Name the {}.",
    "What was the {}?", "Look up the {}.", "Which is the {}?", "What {} is given?",
    "What is said about the {}?", "Can you find the {}?", "What does it say for the {}?",
    "Which {} does the text name?", "I need the {}.", "And the {}?", "What would be the {}?",
)
_EXACT = (
    "Answer with the exact words from the text.", "Answer only with the words of the text.",
    "Copy the answer from the text.", "Use the exact words of the text and nothing else.",
    "Only give the answer itself.", "Reply with the span only.", "Answer with the value only.",
    "Give just the exact words.", "Quote only the answer.", "No full sentence, only the answer.",
    "Answer as briefly as the text allows.", "Just the words from the text, please.",
    "Your answer is a piece of the text.", "Write only what stands in the text.",
    "Only the answer, please.", "Give the exact words only.", "Answer with a part of the text.",
    "Do not write a sentence.", "Keep to the words of the text.", "Copy it exactly.",
    "Answer without any other words.", "Short answer, from the text.", "Exact words only.",
)
_SYSTEM_EXACT = (
    "Answer questions about the text with its exact words.",
    "You answer with the exact words from the text and nothing else.",
    "Copy the answer from the text that the user gives.",
    "Reply only with a span of the given text.",
    "Extract the answer from the text. Do not add words.",
    "Answer only with the words that stand in the text.",
    "You find answers in texts. Give only the exact words.",
    "Give short answers that are copied from the text.",
    "Find the answer in the text and copy it exactly.", "You copy answers out of a text.",
    "Only write the words of the text that answer the question.", "Quote the answer, nothing more.",
    "The answer is a part of the text. Write only that part.", "Reply with the exact words.",
)
_FORMS = (
    "{text}\n\n{ask}", "Text: {text}\n\nQuestion: {ask}", "Read this text: {text}\n\n{ask}",
    "{ask}\n\n{text}", "Here is a paragraph. {text}\n\n{ask}", "{text}\n{ask}",
    "Question: {ask}\nText: {text}", "Paragraph:\n{text}\n\nQuestion:\n{ask}",
    "Context: {text}\nQuestion: {ask}", "{ask} Use this text:\n{text}",
)
_SENTENCES = ("The {} is {}.", "The {} is {}.", "It is {1}.", "The text gives {1} as the {0}.")
_DUTIES = ("You are a helpful assistant.", "You know this:", "You work at the desk.",
           "Answer from these notes:", "Facts for your answers:", "You are a friendly assistant.")
_NOT_THERE = (
    "The text does not say that.", "The text does not tell that.",
    "I do not know, because the text does not say it.", "That is not in the text.",
)
NOT_THERE_MARKS = ("does not say", "does not tell", "do not know", "not in the text")

# What people in a text have: sentence forms and question forms with {0} the person, {1} the value.
_RELATIONS: tuple[tuple[str, tuple[str, ...], tuple[str, ...], Callable[[Draw], str]], ...] = (
    ("lives", ("{0} lives in {1}.", "{0} has a flat in {1}.", "The home of {0} is in {1}."),
     ("Where does {0} live?", "In which town does {0} live?", "Which town is the home of {0}?",
      "{0} lives where?", "What is the home town of {0}?", "Where is the flat of {0}?",
      "Tell me where {0} lives.", "Name the town where {0} lives.", "Where can one visit {0}?"),
      e.town),
    ("works", ("{0} works as a {1}.", "{0} is a {1}.", "{0} earns money as a {1}."),
     ("What is the job of {0}?", "What does {0} do for a living?", "As what does {0} work?",
      "What is {0} by profession?",
      "Tell me the job of {0}.", "Which job does {0} have?", "How does {0} earn money?"),
     e.job),
    ("bought", ("{0} bought the {1}.", "{0} wanted the {1} and got it.", "The {1} went to {0}."),
     ("What did {0} buy?", "What did {0} get?", "Which thing does {0} have now?",
      "What does {0} own?",
      "What belongs to {0} now?", "Tell me what {0} bought.", "What went to {0}?"), e.product),
    ("pet", ("{0} has a dog called {1}.", "The cat of {0} is called {1}.",
             "{0} named the horse {1}."),
     ("What is the animal of {0} called?", "How is the animal of {0} called?",
      "What is the name of the animal of {0}?", "Which animal name goes with {0}?",
      "What does {0} call the animal?", "What name did {0} choose for the animal?"), e.pet_name),
    ("met", ("{0} met {1} on the way.", "{0} wrote a letter to {1}.",
             "{0} shares a room with {1}."),
     ("Who is with {0} in the text?", "Whose name stands with {0}?", "To whom does {0} belong?",
      "Who is named together with {0}?",
      "Which person goes with {0}?", "Who else stands next to {0}?", "Who knows {0}?"),
     e.first_name),
    ("leaves", ("{0} leaves at {1}.", "At {1} {0} has to go.", "{0} takes the train at {1}."),
     ("When does {0} leave?", "At what time does {0} go?", "At which hour does {0} leave?",
      "When does {0} have to go?",
      "What time does {0} leave?", "Tell me when {0} leaves.", "Until when is {0} here?"),
     e.time),
    ("born", ("{0} was born on {1}.", "The birthday of {0} is {1}.",
              "{0} came to the world on {1}."),
     ("When was {0} born?", "What is the birthday of {0}?", "On which day was {0} born?",
      "When does {0} have a birthday?",
      "Tell me the birthday of {0}.", "What is the date of birth of {0}?"),
     e.spoken_date),
    ("likes", ("{0} likes {1} best.", "The favourite colour of {0} is {1}.",
               "{0} painted the door {1}."),
     ("Which colour does {0} like?", "What is the colour of {0}?", "Which colour goes with {0}?",
      "What colour belongs to {0}?",
      "Tell me the colour of {0}.", "Which colour did {0} choose?", "What is {0}'s colour?"),
     e.colour),
    ("number", ("{0} has the number {1}.", "The locker of {0} is {1}.", "{0} opens it with {1}."),
     ("Which number has {0}?", "What is the code of {0}?", "Which code belongs to {0}?",
      "What is the number of {0}?",
      "Tell me the code of {0}.", "Which code does {0} use?", "What is {0}'s number?"), e.code),
    ("firm", ("{0} works for {1}.", "{0} is employed at {1}.", "{0} founded {1}."),
     ("For which company does {0} work?", "Which firm belongs to {0}?",
      "What is the company of {0}?", "Who employs {0}?", "Where does {0} work?",
      "Tell me the company of {0}.", "Which company does {0} belong to?"), e.company),
    ("reads", ('{0} reads "{1}".', 'The favourite book of {0} is "{1}".', '{0} wrote "{1}".'),
     ("Which book goes with {0}?", "What is the book of {0}?", "Which title belongs to {0}?",
      "What is the title of the book of {0}?",
      "Tell me the book of {0}.", "Which book is named with {0}?", "What is {0}'s book?"),
     e.title),
)


def _relations(
    draw: Draw, persons: tuple[int, ...] = (1, 2, 2, 3, 4), each: tuple[int, ...] = (1, 1, 2, 2, 3)
) -> tuple[str, list[tuple[str, str, str]]]:
    """A text about several people; (wording world, question, span) for each of its facts."""
    people: list[str] = []
    while len(people) < draw.free(persons):
        name = e.person(draw)
        if not any(name in other or other in name for other in people):
            people.append(name)
    told: list[str] = []
    asked: list[tuple[str, str, str]] = []
    for relation in draw.some(_RELATIONS, draw.free(each)):
        world, forms, questions, make = relation
        seen: set[str] = set()
        for name in people:
            value = make(draw)
            if value in seen or draw.chance(0.1):
                continue
            seen.add(value)
            form = draw.pick(f"told-{world}", forms, texts.RELATIONS[world][0])
            told.append(form.format(name, value) + ("" if form[-1] in '.)"' else "."))
            question = draw.ask(f"ask-span-{world}", questions, 1)
            asked.append((world, question.format(name), value))
    if not asked:
        return _relations(draw, persons, each)
    draw.rng.shuffle(told)
    if draw.chance(0.2):
        told.insert(draw.number(0, len(told)), draw.free(records.NOISE))
    return " ".join(told), asked


def _record(draw: Draw) -> tuple[str, list[records.Field]]:
    """A text about one thing, and those of its fields that stand in it as one span."""
    while True:
        _, fields, sentences = records.record(draw, 2, draw.free((4, 6, 8)))
        ready = [field for field in fields if field.shown and field.type != "array"]
        if ready:
            return " ".join(sentences), ready


def _question(draw: Draw, field: records.Field) -> str:
    if field.asked and draw.chance(0.5):
        return draw.ask(f"ask-{field.asked[0]}", field.asked, 1)
    return draw.ask("ask-span", _ASK_ANY, 2).format(field.spoken)


def _paragraph(draw: Draw) -> tuple[str, str, str, str]:
    """A text, a question, its span, and the property's name or ""."""
    if draw.chance(0.45):
        text, asked = _relations(draw)
        _, question, span = draw.free(asked)
        return text, question, span, ""
    text, ready = _record(draw)
    field = draw.free(ready)
    return text, _question(draw, field), field.shown, field.spoken


def span(draw: Draw) -> Exchange:
    """A text and a question whose answer stands in it word for word."""
    text, question, value, name = _paragraph(draw)
    for _ in range(draw.free((0, 0, 0, 0, 1, 2)) if draw.chance(0.3) else 0):
        more = " ".join(draw.some(records.NOISE, 2))
        text = f"{more} {text}" if draw.chance(0.5) else f"{text} {more}"
    pick = draw.rng.random()
    check = SpanCheck(value, may_end=True)
    if pick < 0.35:
        system = draw.ask("system-span", _SYSTEM_EXACT, 1)
        user = draw.ask("form-span", _FORMS, 2).format(text=text, ask=question)
        return Exchange(user, [value], check=check, system=system, may_bend=False, may_lower=False)
    if pick < 0.75:
        exact = draw.ask("ask-exact", _EXACT, 1)
        question = f"{question} {exact}" if draw.chance(0.7) else f"{exact} {question}"
        user = draw.ask("form-span", _FORMS, 2).format(text=text, ask=question)
        return Exchange(user, [value], check=check, may_bend=False, may_lower=False)
    answer = draw.free(_SENTENCES).format(name, value) if name else f"It is {value}."
    if pick < 0.85:
        return Exchange(question, [upper_first(answer)], value, may_bend=False, may_lower=False,
                        system=f"{draw.free(_DUTIES)} {text}")
    user = draw.ask("form-span", _FORMS, 2).format(text=text, ask=question)
    return Exchange(user, [upper_first(answer)], value, may_bend=False, may_lower=False)


def span_after_span(draw: Draw) -> Exchange:
    """One short text and many questions in a row: each place of the text is looked for in turn."""
    if draw.chance(0.6):
        text, relations = _relations(draw, (2, 3, 3, 4), (2, 2, 3, 4))
        pairs = [(question, value) for _, question, value in relations]
    else:
        text, fields = _record(draw)
        pairs = [(_question(draw, field), field.shown) for field in fields]
    pairs = draw.some(pairs, min(len(pairs), 6))
    system = draw.ask("system-span", _SYSTEM_EXACT, 1) if draw.chance(0.4) else None
    said: list[tuple[str, str]] = []
    for at, (question, value) in enumerate(pairs):
        if at == 0:
            if system is None:
                question = f"{question} {draw.ask('ask-exact', _EXACT, 1)}"
            question = draw.ask("form-span", _FORMS, 2).format(text=text, ask=question)
        said += [("user", question), ("assistant", value)]
    (_, user), (_, value) = said[-2:]
    return Exchange(user, [value], check=SpanCheck(value, True), before=said[:-2], system=system,
                    may_bend=False, may_lower=False)


def long_span(draw: Draw) -> Exchange:
    """The same over several paragraphs, and sometimes several questions in a row."""
    parts = [_relations(draw) for _ in range(draw.free((3, 3, 4, 4, 5, 6, 8, 12, 20, 32)))]
    text = "\n\n".join(part for part, _ in parts)
    asked = [item for _, items in parts for item in items
             if text.count(item[2]) == 1]
    exact = draw.ask("ask-exact", _EXACT, 1)
    chosen = draw.some(asked, min(len(asked), draw.free((1, 2, 3))))
    before: list[tuple[str, str]] = []
    for at, (_, question, value) in enumerate(chosen):
        user = f"{text}\n\n{question} {exact}" if at == 0 else question
        if at == len(chosen) - 1:
            return Exchange(user, [value], check=SpanCheck(value, True), before=before,
                            may_bend=False, may_lower=False)
        before += [("user", user), ("assistant", value)]
    return span(draw)


def not_in_text(draw: Draw) -> Exchange:
    """A question that the given text does not answer."""
    _, fields, sentences = records.record(draw, 2, 4)
    other = records.any_field(draw, {field.spoken.replace(" ", "_") for field in fields})
    question = draw.ask("ask-span", _ASK_ANY, 2).format(other.spoken)
    if draw.chance(0.5):
        rule = draw.free(("If the text does not say it, tell me so.", "Use only the text.",
                          "Answer from the text.", "Say so if it is not there."))
        question = f"{question} {rule}"
    user = draw.ask("form-span", _FORMS, 2).format(text=" ".join(sentences), ask=question)
    return Exchange(user, [draw.free(_NOT_THERE)], may_bend=False, may_lower=False,
                    check=AnyCheck("unknown", NOT_THERE_MARKS))
