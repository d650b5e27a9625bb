"""Knows twenty free prompts that the generator cannot produce; refuses to know good answers."""

from __future__ import annotations

Turns = tuple[tuple[str, str], ...]


def _alone(text: str, system: str | None = None) -> Turns:
    return (("user", text),) if system is None else (("system", system), ("user", text))


FREE_PROMPTS: tuple[Turns, ...] = (
    _alone("yo, what's up? tell me something cool"),
    _alone("Write me a story about a dragon that is scared of flying."),
    _alone(
        "Our cat Whiskers went missing on Tuesday near Maple Street. She is grey with a white paw. "
        "If you see her, ring Deborah on 555-0134.\n\nWhat number should I call?"
    ),
    _alone(
        "Hey team, lunch on Friday is at Luigi's, 12:30. Bring cash, no cards there. - Priya",
        'Return JSON by this schema: {"type":"object","properties":'
        '{"restaurant":{"type":"string"},'
        '"day":{"type":"string"},"time":{"type":"string"}},"required":["restaurant","day","time"]}',
    ),
    _alone("The waiter ignored us for an hour and the pasta was cold. positive or negative?"),
    _alone(
        "what's it like outside in Reykjavik right now?",
        'You can call these tools:\n{"name":"get_weather","description":"Get current weather",'
        '"parameters":{"type":"object","properties":{"city":{"type":"string"}},'
        '"required":["city"]}}',
    ),
    _alone(
        "Who won the chess championship in 1972?",
        'You can call these tools:\n{"name":"get_weather","description":"Get current weather",'
        '"parameters":{"type":"object","properties":{"city":{"type":"string"}},'
        '"required":["city"]}}',
    ),
    (
        ("user", "hi, I'm Bartholomew and I have a ferret named Noodle"),
        ("assistant", "Hello, Bartholomew!"),
        ("user", "ferrets are so funny"),
        ("assistant", "That is nice."),
        ("user", "wait, what was my ferret's name again?"),
    ),
    _alone("Is the moon made of cheese?", "You are a grumpy wizard. Reply in one sentence."),
    _alone("What's 17 + 26?"),
    _alone("Can you help me write an apology to my landlord?"),
    _alone("capital of france and also of japan pls"),
    _alone(
        "Milk: 2 bottles, bread: 1 loaf, eggs: a dozen, candles: 10. What am I going to need the "
        "candles for, do you think?"
    ),
    _alone("Translate 'good morning' to Spanish."),
    _alone("Write a Python function that reverses a string."),
    _alone("I feel a bit down because I failed my driving test."),
    _alone(
        "Marie Curie was born in Warsaw in 1867. She won two Nobel Prizes, one in physics and one "
        "in chemistry.\n\nWhere was she born?"
    ),
    _alone("Explain recursion like I'm five."),
    _alone("Give me five names for a bakery."),
    _alone("Why did the chicken cross the road?"),
)
