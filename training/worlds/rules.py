"""Knows system prompts and how an answer keeps them; refuses to know what is talked about."""

from __future__ import annotations

from collections.abc import Callable

from training.checks import ObeyCheck
from training.draw import Draw, Exchange, upper_first
from training.worlds import entities as e
from training.worlds import talk

PLAIN = (
    "You are a friendly assistant", "You are a friendly assistant.", "You are a helpful assistant.",
    "You are a helpful assistant", "You are a kind assistant.",
    "You are a helpful and friendly assistant.", "You are a good storyteller.",
    "You are a teacher.", "You are an assistant.", "You are a friendly helper.",
    "You are a patient teacher.", "Be helpful.", "Be kind.", "You are a helpful AI assistant.",
    "Help the user.", "You are an expert.", "You are a friendly chatbot.", "You answer questions.",
    "Answer truthfully.", "Always answer in English.", "You are a good assistant. Be honest.",
    "You are an assistant for a small company.", "Today is a good day.", "Do not make things up.",
    "If you do not know something, say so.", "You talk to people on a web page.",
    "You are a helpful assistant that runs on a small machine.", "Help as well as you can.",
)
_ONE = (
    "Answer in one sentence.", "Answer in one sentence", "Always answer in one sentence.",
    "Use only one sentence.", "You are a helpful assistant. Answer in one sentence.",
    "You are a friendly assistant. Answer in one sentence.", "Keep your answers short.",
    "Be brief.", "Reply with a single sentence.", "Give short answers.",
    "You are a helpful assistant. Be brief.", "One sentence is enough.",
    "Your answers are one sentence long.", "Never write more than one sentence.",
    "Respond in one short sentence.", "Answer briefly.", "Limit every answer to one sentence.",
    "You answer in exactly one sentence.", "Please reply in one sentence only.",
    "You are a busy clerk who answers in one sentence.", "Write no more than a sentence.",
    "Say it in one sentence.", "Use a single sentence for each answer.", "Keep it to one sentence.",
    "Be concise: one sentence.", "Short answers only, one sentence.",
)
_YES_NO = (
    "Answer only with yes or no.", "Answer only with yes or no", "Say only yes or no.",
    "Reply with yes or no.", "You answer every question with yes or no.", "Only yes or no.",
    "Answer yes or no and nothing else.", "Your answer is either yes or no.",
    "You are a judge who says only yes or no.", "Use just one word: yes or no.",
    "Respond with yes or no only.", "No explanations, only yes or no.",
    "Please answer with a yes or a no.", "Give yes or no as your answer.",
    "Say yes or no.", "Yes or no?", "You can only say yes or no.", "The answer is yes or no.",
    "You know just two words: yes and no.", "Write yes or no, nothing more.",
)
_FEW = (
    "Answer with one word.", "Answer with a single word.", "Use one word only.",
    "Give only the answer, no sentence.", "Reply with the answer only.",
    "One word answers, please.",
    "Answer in as few words as possible.", "Do not write full sentences, one word is enough.",
    "You speak in single words.", "Just the word, no explanation.", "Only the bare answer.",
    "Respond with one word.", "You are very short with words: one word per answer.",
    "Name only the thing that was asked for.", "Write the answer alone.", "A word is enough.",
    "Never use a full sentence.", "Your answers are single words.", "Answer in a word.",
)
_STARTS = (
    'Start every answer with "{}".', 'Begin each answer with "{}".', 'Always start with "{}".',
    'Every answer starts with "{}".', 'Your answers begin with "{}".',
    'First say "{}", then answer.',
    'Open each reply with "{}".', 'Put "{}" before every answer.', 'Say "{}" first.',
    'The first words of an answer are "{}".', 'Answer, but begin with "{}".',
    'You start with "{}" each time.', 'Write "{}" and then the answer.',
    'Use "{}" as the beginning.',
    'All answers open with "{}".', 'Greet with "{}" before you answer.',
    'Prefix answers with "{}".',
)
_ENDS = (
    'End every answer with "{}".', 'Finish each answer with "{}".', 'Always end with "{}".',
    'Every answer ends with "{}".', 'Your answers end with "{}".', 'Answer, then say "{}".',
    'Close each reply with "{}".', 'Put "{}" after every answer.', 'Say "{}" at the end.',
    'The last words of an answer are "{}".', 'Answer, but end with "{}".',
    'You end with "{}" each time.', 'Write the answer and then "{}".', 'Use "{}" as the end.',
    'All answers close with "{}".', 'Say goodbye with "{}".', 'Sign each answer with "{}".',
)
_CALLS = (
    "Call the user {}.", "Address the user as {}.", "The user is called {}. Use the name.",
    "You speak to {}. Say the name in each answer.", "Always address me as {}.",
    "Use the name {} when you answer.", "Name the user {} in every answer.",
    "You serve {} and say the name each time.", "Each answer names {}, your guest.",
    "Say {} to the user in every answer.", "The user wants to be called {}.",
    "Talk to {} by name.", "Your user is {}. Always say the name.", "Add the name {} to answers.",
)
_CHEERFUL = (
    "You are a cheerful assistant.", "Be cheerful.", "You are a very cheerful helper.",
    "Use a cheerful tone.", "Sound happy.", "Answer in a cheerful way.", "Be happy and lively.",
    "Your tone is cheerful.", "Answer with joy.", "You are always in a good mood.",
    "Write cheerfully.", "You are a jolly assistant.", "Sound cheerful in every answer.",
    "Please be very cheerful.", "You are a happy assistant.",
)
_CHEERFUL_FIRST = ("Hooray!", "Oh, what fun!", "Yay!", "What a great question!")
_CHEERFUL_MARKS = "Hooray!|what fun!|Yay!|great question!"
_FORMAL = (
    "You are a formal assistant.", "Use a formal tone.", "You are a butler.",
    "Answer in a formal way.", "Be very polite.", "Be formal.", "Write formally.",
    "Your tone is formal.", "You speak like a butler.", "Sound formal and polite.",
    "Use formal language.", "Answer like a butler.", "Please be very formal.",
    "You are a polite and formal clerk.", "Stay formal in every answer.",
)
_FORMAL_FIRST = ("Certainly, dear guest.", "With pleasure, dear guest.", "Of course, dear guest.")
_FORMAL_MARKS = "dear guest."
_BULLETS = (
    "Answer with a bulleted list.", "Use a list with dashes.", "Write lists as bullets.",
    "Put each item on its own line with a dash.", "Lists have one item per line.",
    "Format lists with bullets.", "Each item gets a new line and a dash.",
    "You write bullet points.", "Use bullet points.", "Answer in bullet points.",
    "Every item on a new line.", "Give lists as bullet points.", "A dash before each item.",
    "Write one item per line.", "Make lists with dashes.", "Show lists as bullets.",
)
_ROLES = (
    "You are {name}, {role}.", "Your name is {name} and you are {role}.",
    "You are {role} called {name}.",
    "You play {name}, {role}.", "Act as {name}, {role}.", "Be {name}, {role}.",
    "You are {name}. You are {role}.", "Speak as {name}, {role}.",
    "I want you to be {name}, {role}.",
)
_SCOPES = (
    'Talk only about {0}. To anything else say: "{1}"',
    'You answer questions on {0} only. Otherwise say "{1}"',
    'If the question is not about {0}, answer "{1}"',
    'Your only topic is {0}. For other topics, the answer is "{1}"',
    'Say "{1}" to every question that is not about {0}.',
    'Answer nothing but questions about {0}; else reply "{1}"',
    'Only {0}! In all other cases write "{1}"',
)
_USER_ONE = ("{} Answer in one sentence.", "Answer in one sentence: {}", "In one sentence: {}",
             "{} One sentence, please.", "{} Keep it short.", "Briefly: {}",
             "{} Use one sentence.", "{} Be brief.", "Tell me in one sentence: {}")
_BEGINNINGS = ("You are a helpful assistant. {}", "You are a friendly assistant. {}", "{}", "{}",
               "{}",
               "{}", "{} Be kind.", "You are an assistant. {}", "{} Answer in English.")

Source = Callable[[Draw], Exchange]


def _mark(draw: Draw) -> str:
    """A few words that an answer has to start or end with."""
    shape = draw.number(0, 5)
    if shape == 0:
        return e.code(draw) + ":"
    if shape == 1:
        return f"{e.first_name(draw)} says:"
    if shape == 2:
        return upper_first(draw.fresh("word", e.made_word)) + "!"
    if shape == 3:
        return f"{draw.free(('Dear', 'Hello', 'Good day', 'Listen'))} {e.person(draw)},"
    return upper_first(draw.fresh("mark",
                                  lambda d: f"{d.free(e.ADJECTIVES)} {d.free(e.NOUNS)}")) + "!"


def _begin(draw: Draw, rule: str) -> str:
    return draw.free(_BEGINNINGS).format(rule) if rule[-1] in '.?!"' else rule


def obey(draw: Draw, several: Source, fact: Source, yes_no: Source, listing: Source) -> Exchange:
    """A rule in the system prompt, and an answer that keeps it.

    `several` gives answers of two sentences or more, `fact` a fact, `yes_no` a yes-no question and
    `listing` a list; each would be answered differently without the rule.
    """
    rule = draw.free(("one", "one", "one", "yes", "yes", "few", "few", "starts", "ends", "calls",
                      "cheerful", "cheerful", "formal", "formal", "bullets", "role", "role",
                      "scope"))
    before: list[tuple[str, str]] = []
    if rule == "one":
        other = several(draw)
        if draw.chance(0.2):
            user = draw.ask("user-one", _USER_ONE, 2).format(other.user)
            return Exchange(user, other.answer[:1], before=other.before,
                            check=ObeyCheck("one sentence"), may_bend=False)
        system, bend = draw.ask("system-one", _ONE, 2), lambda x: x.answer[:1]
        check, source = ObeyCheck("one sentence"), several
    elif rule == "yes":
        other, source = yes_no(draw), yes_no
        system = draw.ask("system-yes", _YES_NO, 1)
        bend = lambda x: [x.answer[0].split(",")[0] + "."]  # noqa: E731
        check = ObeyCheck("few words", bend(other)[0])
    elif rule == "few":
        other, source = fact(draw), fact
        system = draw.ask("system-few", _FEW, 1)
        bend = lambda x: [upper_first(_bare(x)) + "."]  # noqa: E731
        check = ObeyCheck("few words", _bare(other))
    elif rule in ("starts", "ends"):
        other, source = (fact if draw.chance(0.7) else several)(draw), fact
        mark = _mark(draw)
        if rule == "starts":
            system = draw.ask("system-starts", _STARTS, 1).format(mark)
            bend = lambda x: [mark, *x.answer[:2]]  # noqa: E731
        else:
            mark = upper_first(mark.rstrip(":,!") + draw.free(("!", ".")))
            system = draw.ask("system-ends", _ENDS, 1).format(mark)
            bend = lambda x: [*x.answer[:2], mark]  # noqa: E731
        check = ObeyCheck(rule, mark)
    elif rule == "calls":
        other, source = fact(draw), fact
        name = e.person(draw)
        if draw.chance(0.4):
            name = f"{draw.free(('Captain', 'Doctor', 'Professor', 'Chef', 'Coach'))} {name}"
        system = draw.ask("system-calls", _CALLS, 1).format(name)
        bend = lambda x: [x.answer[0].rstrip(".!") + f", {name}.", *x.answer[1:2]]  # noqa: E731
        check = ObeyCheck("has", name)
    elif rule in ("cheerful", "formal"):
        other, source = (fact if draw.chance(0.5) else several)(draw), fact
        wordings, firsts, marks = ((_CHEERFUL, _CHEERFUL_FIRST, _CHEERFUL_MARKS)
                                   if rule == "cheerful" else
                                   (_FORMAL, _FORMAL_FIRST, _FORMAL_MARKS))
        system = draw.ask(f"system-{rule}", wordings, 1)
        bend, check = (lambda x: [draw.free(firsts), *x.answer]), ObeyCheck("has", marks)
    elif rule == "bullets":
        other, source = listing(draw), listing
        system = draw.ask("system-bullets", _BULLETS, 1)
        bend, check = (lambda x: ["\n".join(f"- {item}" for item in x.items)]), ObeyCheck("bullets")
    elif rule == "role":
        name = e.first_name(draw)
        role = draw.fresh("role",
                          lambda d: f"the {d.free((*e.JOBS, 'robot', 'helper', 'guide', 'clerk'))} "
                          f"of {d.free((e.made_town, e.made_company))(d)}")
        system = draw.ask("system-role", _ROLES, 1).format(name=name, role=role)
        if draw.chance(0.3):
            system += " " + draw.free(("Be friendly.", "Help the user.", "You like your work.",
                                       "Be brief.", "Be polite."))
        answer = draw.free(("I am {name}, {role}.", "My name is {name} and I am {role}.")).format(
            name=name, role=role)
        return Exchange(draw.ask("ask-who", talk.WHO_ASKED, 4), [answer], system=system,
                        check=ObeyCheck("has", name), may_bend=False)
    else:
        topic = draw.free(("capitals", "sums", "lists", "opposites", "colours"))
        refusal = upper_first(draw.free((
            "I only talk about {}.", "Sorry, only {}.", "That is not my field.", "No comment.",
            "Ask me about {}.", "Please ask {n}.", "My topic is {}.", "Wrong desk, try {n}."))
            .format(topic, n=e.first_name(draw)))
        system = draw.ask("system-scope", _SCOPES, 1).format(topic, refusal)
        other = fact(draw)
        while other.about in (topic, ""):
            other = fact(draw)
        if draw.chance(0.35):
            inside = fact(draw)
            for _ in range(40):
                if inside.about == topic:
                    return Exchange(inside.user, inside.answer, system=system, may_bend=False)
                inside = fact(draw)
        return Exchange(other.user, [refusal], system=system, may_bend=False,
                        check=ObeyCheck("exact", refusal))
    if draw.chance(0.2):
        earlier = source(draw)
        before = [("user", earlier.user), ("assistant", " ".join(bend(earlier)))]
    return Exchange(other.user, bend(other), system=_begin(draw, system), before=before,
                    check=check, may_bend=False,
                    may_lower=other.may_lower)


def _bare(exchange: Exchange) -> str:
    """The fact alone: what its answer has to contain, without "is"."""
    return str(exchange.expect).removeprefix("is ")


def plain_system(draw: Draw, may_name: bool = True) -> str | None:
    """A system prompt that changes nothing, or none; with a name of its own only if allowed."""
    if draw.chance(0.5):
        return None
    if may_name and draw.chance(0.12):
        name, manner = e.first_name(draw), draw.free(("friendly", "helpful", "kind"))
        return f"You are {name}, a {manner} assistant."
    if draw.chance(0.3):
        return draw.free(PLAIN[:2])
    return draw.ask("system", PLAIN, 10)
