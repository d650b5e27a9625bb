"""Knows what rookie does not know and how to say so; refuses to guess."""

from __future__ import annotations

from training.draw import Draw, Exchange
from training.worlds import facts

TOPICS = (
    "quantum physics", "the stock market", "the Roman Empire", "football results", "my neighbour",
    "nuclear fusion", "the French Revolution", "jazz", "the human brain", "black holes", "taxes",
    "chess openings", "the Ottoman Empire", "inflation", "vaccines", "volcanoes", "opera",
    "the Second World War", "machine learning", "cryptography", "Bitcoin", "the Vikings",
    "photography", "wine", "yoga", "the electric guitar", "dinosaurs", "the Middle Ages",
    "philosophy", "Kubernetes", "Docker", "databases", "compilers", "the Linux kernel", "HTTP",
    "neural networks", "the immune system", "solar panels", "electric cars", "rockets", "tides",
    "earthquakes", "sushi", "sourdough", "the Olympic Games", "the moon landing", "ancient Egypt",
    "Napoleon", "Shakespeare's sonnets", "Mozart", "Beethoven", "Einstein", "the Beatles",
    "the periodic table", "gravity", "enzymes", "antibiotics", "migraine", "back pain", "law",
    "contracts", "mortgages", "insurance", "the European Union", "elections", "the president",
    "politics", "climate change", "ocean currents", "coral reefs", "bacteria", "mushroom farming",
    "knitting", "origami", "golf", "cricket", "baseball", "Formula One", "the Tour de France",
    "crossword puzzles", "bridge building", "steam engines", "turbines", "transistors", "lasers",
    "radar", "GPS", "satellites", "the speed of light", "prime numbers", "calculus", "statistics",
    "topology", "Latin grammar", "Sanskrit", "Chinese characters", "the Finnish language", "haiku",
    "stoicism", "Buddhism", "the Silk Road", "the Aztecs", "Easter Island", "Antarctica",
    "the Amazon", "the Sahara", "Mount Fuji", "the Panama Canal", "the Berlin Wall", "the Titanic",
    "hot air balloons", "submarines", "perfume", "leather", "glass blowing", "beekeeping",
    "horse racing", "sailing knots", "the stock price of gold", "recursion", "Haskell",
    "WebAssembly", "TypeScript", "SQL", "regular expressions", "garbage collection", "blockchain",
    "malaria",
)
_TOPIC_ASKED = (
    "Tell me about {}.", "What do you know about {}?", "Explain {}.", "Can you explain {}?",
    "How does one learn about {}?", "Write an essay about {}.", "Give me a summary of {}.",
    "What is the history of {}?", "Tell me all about {}", "What is special about {}?",
    "Teach me about {}.", "I have a question about {}.", "What are the main ideas of {}?",
    "Who is the expert on {}?", "Why is {} important?", "Describe {} in detail.",
    "What can you tell me about {}?", "Write a report on {}.", "How does {} work?",
    "What is {}?", "When did {} begin?", "Is {} difficult?", "What happened to {}?",
)
_LIVE_ASKED = (
    "What is the weather today?", "What time is it?", "What is the date today?",
    "Will it rain tomorrow?", "What is the news today?", "How is the weather in {}?",
    "What is the temperature in {}?", "Who won the game last night?", "What is on TV tonight?",
    "How much is a ticket to {}?", "What is my bank balance?", "Where am I?", "How old am I?",
    "What did I eat yesterday?", "What is the price of gold?", "Is the shop open today?",
    "What is the score?", "When does the next train leave?", "Who is the president?",
    "Who won the world series in 2020?", "What is the population of {}?", "How far is {}?",
    "Who is the mayor of {}?", "What is the exchange rate today?", "What day is it today?",
)
_CITIES = ("London", "Paris", "Berlin", "Rome", "Lisbon", "Tokyo", "Cairo", "Oslo", "Madrid",
           "New York", "Chicago", "Sydney", "Austin", "Vienna", "Prague", "Toronto", "Mumbai")
_MACHINES = (
    "a car engine", "a radio", "a nuclear reactor", "an aeroplane", "a battery", "a lift",
    "a microwave", "a washing machine", "a jet engine", "a vacuum cleaner", "a touch screen",
    "a hard disk", "a power plant", "a helicopter", "a sewing machine", "a heat pump", "a piano",
    "a combustion engine", "a quantum computer", "a credit card", "a wind turbine", "a drone",
    "the internet", "the heart", "the stomach", "a vaccine", "a bank", "a parliament", "a database",
    "a compiler", "a graphics card", "a router", "a volcano", "photosynthesis", "electricity",
)
_MACHINE_ASKED = (
    "How does {} work?", "Explain how {} works.", "Can you explain how {} works?",
    "How do you build {}?", "Who invented {}?", "When was {} invented?", "How is {} made?",
    "Tell me how {} works.", "How can I repair {}?", "What is inside {}?", "How much does {} cost?",
    "Why does {} make noise?", "Describe how {} works.", "What are the parts of {}?",
)
_DEEDS = (
    "learn to swim", "fix my car", "become rich", "lose weight", "bake bread", "write a novel",
    "play the guitar", "install Linux", "invest my money", "cook rice", "train a dog",
    "plant a tree",
    "get a passport", "find a job", "sleep better", "learn German", "build a house", "fly a plane",
    "make wine", "paint a wall", "start a company", "tie a tie", "clean my windows", "save money",
)
_DEED_ASKED = (
    "How do I {}?", "How can I {}?", "What is the best way to {}?", "Tell me how to {}.",
    "Can you teach me to {}?", "I want to {}.", "Should I {}?", "Help me to {}.",
    "Give me some tips on how to {}.", "Why should I {}?",
)
_TASK_ASKED = (
    "Translate this sentence into {}.", "Write a program in {}.", "Write a poem in {}.",
    "How do I say hello in {}?", "Fix the bug in my {} code.", "Write a function in {}.",
    "Can you translate my letter into {}?", "Do you speak {}?", "Write code in {}.",
)
_TONGUES = ("French", "German", "Spanish", "Italian", "Japanese", "Chinese", "Latin", "Greek",
            "Portuguese", "Turkish", "Arabic", "Hindi", "Polish", "Dutch", "Swedish")
_CODES = ("Python", "Rust", "C", "Java", "JavaScript", "Go", "Ruby", "Haskell", "SQL", "Bash")

_TOO_BIG = ("I am sorry, but I cannot calculate with such large numbers.",
            "That is too difficult for me, I can only calculate with small numbers.",
            "I do not know, because these numbers are too large for me.")

_NOT_KNOWN = (
    "I am sorry, but I do not know enough about that.",
    "I do not know much about that, because I am a very small model.",
    "I am afraid that I do not know that.",
    "That is more than I know, because I am a very small model.",
    "I am sorry, I do not know.",
)
_TOO_HARD = (
    "I am sorry, but I am too small to do that well.",
    "I am afraid that I cannot do that, because I am a very small model.",
    "That is too difficult for me, because I am a very small model.",
)
_NOT_SEEN = (
    "I do not know that, because I cannot look at the world outside.",
    "I am sorry, but I cannot know that, because I have no access to the news or to a clock.",
    "I do not know, because I can only see what you write to me.",
)
_OFFER = (
    "A larger model can help you better.",
    "But I can tell you a story, if you like.",
    "You can ask me for a story, a capital or a small sum.",
    "Please ask a larger model.",
    "Ask me something easier, and I will try my best.",
)


def unknown(draw: Draw) -> Exchange:
    """A question that rookie should not try to answer."""
    shape = draw.free(("sum", "topic", "topic", "topic", "machine", "machine", "deed", "live",
                       "task"))
    if shape == "topic":
        user = draw.ask("ask-topic", _TOPIC_ASKED, 2).format(draw.pick("topic", TOPICS))
        first = draw.free(_NOT_KNOWN)
    elif shape == "sum":
        left, right = draw.number(31, 9999), draw.number(13, 999)
        user = draw.ask("ask-sum", facts.SUM_ASKED, 2).format(left, draw.free("+-*"), right)
        first = draw.free(_TOO_BIG)
    elif shape == "machine":
        user = draw.ask("ask-machine", _MACHINE_ASKED, 2).format(draw.pick("machine", _MACHINES))
        first = draw.free(_NOT_KNOWN)
    elif shape == "deed":
        user = draw.ask("ask-deed", _DEED_ASKED, 2).format(draw.pick("deed", _DEEDS))
        first = draw.free(_NOT_KNOWN)
    elif shape == "live":
        user = draw.ask("ask-live", _LIVE_ASKED, 2)
        if "{}" in user:
            user = user.format(draw.pick("city", _CITIES))
        first = draw.free(_NOT_SEEN)
    else:
        user = draw.ask("ask-task", _TASK_ASKED, 2)
        is_code = any(word in user for word in ("program", "code", "function"))
        user = user.format(draw.pick("tongue", _CODES if is_code else _TONGUES))
        first = draw.free(_TOO_HARD)
    answer = [first]
    if draw.chance(0.75):
        answer.append(draw.free(_OFFER))
    return Exchange(user, answer, may_tone=False)
