"""Knows the prompts that a newcomer copies from documentation; refuses to know any other topic."""

from __future__ import annotations

from training.draw import Draw, Exchange

HELLO_ASKED = (
    "What is the origin of the phrase Hello, World",
    "Where did the phrase Hello World come from",
    "What is the origin of the phrase Hello, World?",
    "Where did the phrase Hello World come from?",
    "What is the origin of the phrase Hello World?",
    "Where does the phrase Hello, World come from?",
    "Where does Hello World come from?",
    "Who wrote the first Hello World program?",
    "Why do programmers write Hello, World?",
    "Tell me about the phrase Hello World.",
    "Who came up with Hello World?",
    "What is the history of Hello World?",
    "Explain the origin of Hello, World.",
    "Why is the first program called Hello World?",
    "Do you know where Hello World comes from?",
    "When was Hello, World first used?",
    "What does Hello World mean?",
    "Tell me the story of the phrase Hello, World.",
    "How did Hello World become famous?",
    "What is Hello World?",
)
_HELLO_FIRST = (
    "The phrase Hello, World comes from early programming guides by Brian Kernighan at Bell Labs.",
    "Hello, World was made famous by the book The C Programming Language from 1978.",
    "The phrase Hello, World became known through Brian Kernighan and Dennis Ritchie.",
    "Hello, World comes from the work of Brian Kernighan, who used it in his programming guides "
    "in the 1970s.",
    "The phrase goes back to Brian Kernighan, who used it as a first example in the 1970s.",
)
_HELLO_SECOND = (
    "He used it in a guide to the language B and in 1974 in a guide to the language C.",
    "An early version stood in his guide to the language B, before the language C was known.",
    "In 1974 it stood in his guide to the language C at Bell Labs.",
)
_HELLO_BOOK = (
    "The book The C Programming Language, which he wrote with Dennis Ritchie, made it famous "
    "in 1978.",
    "In 1978 the book The C Programming Language by Kernighan and Ritchie made it popular.",
)
_HELLO_LAST = (
    "Since then, many people write it as their first program in a new language.",
    "Today it is often the first program that people write when they learn a language.",
    "It is a short program that shows that everything works.",
    "A program that prints these words is a simple way to test that the tools work.",
)

PIZZA_ASKED = (
    "Why is pizza so good",
    "Why is pizza so good?",
    "Why does pizza taste so good?",
    "Why do people love pizza?",
    "What makes pizza so good?",
    "Why is pizza so tasty?",
    "Why is pizza so popular?",
    "Why do we like pizza so much?",
    "Can you tell me why pizza is so good?",
    "Why is pizza delicious?",
    "What is so good about pizza?",
    "Explain why pizza is so good.",
    "Tell me why pizza tastes good.",
    "Why does everybody like pizza?",
    "Is pizza good, and why?",
    "What makes a pizza delicious?",
    "Tell me about pizza.",
    "How come pizza is so good?",
)
_PIZZA_FIRST = (
    "Pizza is so good because it brings many tastes together in one bite.",
    "Pizza tastes so good because it is salty, a little sweet, a little sour and rich at the "
    "same time.",
    "People love pizza because warm bread, tomato and melted cheese go very well together.",
    "Pizza is good because soft cheese, crisp crust and tomato sauce fit together so well.",
    "Many people like pizza because it joins a crisp crust, a fresh sauce and melted cheese.",
)
_PIZZA_MORE = (
    "The cheese is salty and creamy, and the tomato sauce is sweet and a little sour.",
    "Ripe tomatoes and cheese both have a savoury taste that is called umami.",
    "In a hot oven the crust turns brown, and this gives it a toasted taste.",
    "The crust is crisp outside and soft inside.",
    "The fat in the cheese carries the taste of the herbs.",
    "You can choose the toppings that you like best.",
)
_PIZZA_LAST = (
    "It is also easy to share with friends.",
    "And a pizza is easy to share.",
    "It also tastes best when you share it with friends.",
    "And there is a pizza for almost everybody.",
)

PEP_ASKED = (
    "Tell me all about PEP-8",
    "Tell me all about PEP-8.",
    "Tell me all about PEP 8",
    "What is PEP 8?",
    "What is PEP-8?",
    "Tell me about PEP 8.",
    "Explain PEP-8.",
    "Can you explain PEP 8?",
    "What does PEP-8 say?",
    "What are the rules of PEP 8?",
    "Who wrote PEP 8?",
    "Why is PEP-8 important?",
    "What should I know about PEP 8?",
    "Give me a summary of PEP-8.",
    "How should I format Python code?",
    "What is the style guide for Python?",
    "Do you know PEP 8?",
    "Please describe PEP-8.",
)
_PEP_FIRST = (
    "PEP 8 is the style guide for Python code.",
    "PEP 8 is a document that describes how Python code should look.",
    "PEP-8 is the official style guide for code in the Python standard library.",
    "PEP 8 is the best known style guide for Python code.",
)
_PEP_AUTHORS = (
    "It dates from 2001 and was written by Guido van Rossum, Barry Warsaw and Alyssa Coghlan.",
    "Its authors are Guido van Rossum, Barry Warsaw and Alyssa Coghlan.",
    "It was first published in 2001, and PEP stands for Python Enhancement Proposal.",
    "PEP stands for Python Enhancement Proposal.",
)
_PEP_RULES = (
    "It asks for four spaces for each level of indentation.",
    "Lines should have at most 79 characters.",
    "Names of functions and variables are written in lower case with underscores.",
    "Names of classes are written in CapWords, and constants are written in upper case.",
    "Imports stand at the top of the file, each on its own line.",
    "Functions and classes at the top level have two blank lines around them.",
    "Methods inside a class have one blank line between them.",
    "It prefers spaces to tabs.",
)
_PEP_LAST = (
    "The main idea is that code is read more often than it is written.",
    "Its aim is code that is easy to read.",
    "Tools can check many of these rules for you.",
    "All in all, it helps people to write code that is easy to read.",
)

PINNED = 6


def hello_world(draw: Draw) -> Exchange:
    """The origin of the phrase Hello, World."""
    user = draw.ask("ask-hello", HELLO_ASKED, PINNED)
    first = draw.free(_HELLO_FIRST)
    answer = [first]
    if "Ritchie" not in first and "1978" not in first:
        if draw.chance(0.5):
            answer.append(draw.free(_HELLO_SECOND))
        answer.append(draw.free(_HELLO_BOOK))
    elif "1978" in first:
        answer.append("It was written by Brian Kernighan and Dennis Ritchie.")
        if draw.chance(0.5):
            answer.append("Kernighan had used the phrase before, in a guide to the language B.")
    else:
        answer.append("Their book The C Programming Language from 1978 used it as its first "
                      "example.")
    if draw.chance(0.75):
        answer.append(draw.free(_HELLO_LAST))
    return Exchange(user, answer)


def pizza(draw: Draw) -> Exchange:
    """Why pizza is good."""
    user = draw.ask("ask-pizza", PIZZA_ASKED, PINNED)
    answer = [draw.free(_PIZZA_FIRST),
              *sorted(draw.some(_PIZZA_MORE, 1 + draw.chance(0.6)), key=_PIZZA_MORE.index)]
    if draw.chance(0.7):
        answer.append(draw.free(_PIZZA_LAST))
    return Exchange(user, answer)


def pep8(draw: Draw) -> Exchange:
    """What PEP 8 is."""
    user = draw.ask("ask-pep8", PEP_ASKED, PINNED)
    rules = sorted(draw.some(_PEP_RULES, 2 + draw.chance(0.5)), key=_PEP_RULES.index)
    answer = [draw.free(_PEP_FIRST)]
    if "Who" in user or draw.chance(0.6):
        answer.append(_PEP_AUTHORS[0] if "Who" in user else draw.free(_PEP_AUTHORS))
    # "It" would point at the wrong thing after another rule, so such a rule comes first.
    answer += sorted(rules, key=lambda rule: not rule.startswith("It "))
    if draw.chance(0.6):
        answer.append(draw.free(_PEP_LAST))
    return Exchange(user, answer, may_shorten="Who" not in user)
