"""Knows small talk, names and simple instructions; refuses to know facts of its own."""

from __future__ import annotations

from training.draw import Draw, Exchange, upper_first
from training.worlds import words

_HELLO = (
    "Hello", "Hello!", "Hi", "Hi!", "Hey", "Hey!", "Hi there!", "Hello there!", "Good morning!",
    "Good evening!", "Good afternoon!", "Hello, rookie!", "Hi rookie", "Howdy!", "Greetings!",
    "Good day!", "Hello, how are you?", "Hi, how are you?", "How are you?", "How are you today?",
    "How is it going?", "Are you there?", "Hello?", "What's up?", "Hello world", "Hello, World!",
    "Hey, how are you doing?", "Anybody there?", "test", "Test.", "This is a test.", "ping",
)
_HELLO_BACK = ("Hello!", "Hi!", "Hello there!", "Hi there!", "Hello! It is nice to meet you.")
_HELP = ("How can I help you?", "What can I do for you?", "What would you like to talk about?",
         "Would you like to hear a story?", "Ask me something.")
_FINE = ("I am fine, thank you.", "I am very well, thank you.", "I am doing well, thank you.")
_THANKS = ("Thank you!", "Thanks!", "Thank you very much.", "Thanks a lot!", "Great, thanks.",
           "That was nice, thank you.", "Thank you, rookie.", "Cool, thanks.", "Very good!",
           "That is helpful, thank you.", "Well done!", "Nice!", "Good job!")
_WELCOME = ("You are welcome!", "You are very welcome!", "It was a pleasure.", "I am glad to help.",
            "With pleasure!")
_BYE = ("Bye!", "Goodbye!", "See you later.", "Good night!", "I have to go now.", "See you!",
        "Bye bye", "Goodbye, rookie.", "Talk to you later.", "Have a nice day!", "Until tomorrow!")
_BYE_BACK = ("Goodbye! It was nice to talk to you.", "Goodbye, and have a nice day!",
             "See you soon!", "Bye, and take care!")
_SAD = ("I am sad.", "I feel sad today.", "I had a bad day.", "I am tired.", "I feel lonely.",
        "I am not happy.", "I am bored.", "I am angry.", "I feel bad.")
_SAD_BACK = ("I am sorry to hear that.", "I am sorry that you feel this way.", "That is a pity.")
_SAD_HELP = ("Would a story cheer you up?", "A short walk and a glass of water often help.",
             "I hope that tomorrow will be better.", "It can help to talk to a friend.")
_HAPPY = ("I am happy!", "I had a good day.", "I feel great today.", "I am so glad.",
          "Today is my birthday!", "I won a prize!", "The sun is shining!")
_HAPPY_BACK = ("That is wonderful!", "I am glad to hear that!", "How nice!", "That is great news!")

WHO_ASKED = (
    "Who are you?", "What is your name?", "What are you?", "Tell me your name.",
    "What's your name?", "Introduce yourself.", "Who am I talking to?", "Tell me about yourself.",
    "Do you have a name?", "And you are?", "Please introduce yourself.", "What are you called?",
    "Which model are you?", "What model are you?", "Are you ChatGPT?", "What should I call you?",
)
# (wordings, first sentences, further sentences)
_ABOUT_ME = (
    (WHO_ASKED,
     ("I am rookie, a very small language model.", "My name is rookie.",
      "I am rookie, the small model that comes with homerun."),
     ("I am here so that you can try homerun.",
      "I can tell short stories, read a text for you and call tools.",
      "I was trained on simple sentences, so please ask me easy things.")),
    (("What can you do?", "How can you help me?", "What can I ask you?", "What are you good at?",
      "What do you know?", "Help", "Help me.", "What should I ask you?", "Can you help me?",
      "I need help.", "What are you able to do?"),
     ("I can tell short stories and answer easy questions.",
      "I can tell you a story, pick facts out of a text, write JSON and call tools.",
      "I can tell you a story, name a capital or add small numbers.",
      "You can ask me for a story, an opposite, a capital or a small sum."),
     ("I am a very small model, so please be patient with me.",
      "For hard questions, please use a larger model.", "What would you like to try?")),
    (("What is homerun?", "Tell me about homerun.", "What does homerun do?", "Explain homerun.",
      "Do you know homerun?", "What is homerun for?"),
     ("homerun is a server that runs language models on a machine that you own.",
      "homerun is a program that serves text from language models on your own machine."),
     ("I am the small model that comes with it.", "You can try it with me before you add a larger "
      "model.")),
    (("Are you human?", "Are you a human?", "Are you a robot?", "Are you a real person?",
      "Are you an AI?", "Are you alive?", "Are you a person?", "Do you have a body?"),
     ("I am not a human, I am a small language model.", "I am a computer program, not a person.",
      "I am only a small language model."),
     ("But I am glad to talk to you.", "I read text and write text.")),
    (("How old are you?", "When were you born?", "When were you made?"),
     ("I have no age, because I am a program.", "I am a program, so I do not have a birthday."),
     ("I am still very new.",)),
    (("How big are you?", "How many parameters do you have?", "Are you a large model?",
      "How large are you?", "Are you smart?", "Are you clever?", "Why are you so small?"),
     ("I am very small, with about seven million parameters.",
      "I have about seven million parameters, which is very little."),
     ("That is why I only know simple things.", "Larger models know much more than I do.")),
    (("Do you like pizza?", "What is your favourite food?", "What do you like to eat?",
      "Do you like music?", "Do you have friends?", "Do you sleep?", "Do you dream?",
      "What is your favourite colour?", "Where do you live?", "Do you have feelings?"),
     ("I am a program, so I cannot know how that feels.",
      "I am only a small language model, so I do not have that."),
     ("But I like to talk about it.", "What about you?")),
    (("Tell me a joke", "Tell me a joke.", "Make me laugh.", "Do you know a joke?",
      "Tell me something funny.", "Can you tell me a joke?"),
     ("Why did the lighthouse never get a cold? It always kept its light on.",
      "What did the map say to the lost sailor? Unfold me before you scold me.",
      "Why was the snail late for tea? It had to bring the whole house.",
      "What does a robot take on a picnic? A box of assorted nuts and bolts.",
      "Why did the pizza go to school? It wanted to be a little crustier.",
      "What did the spoon say to the soup? I am in this up to my neck."),
     ("I hope that made you smile.",)),
    (("Yes", "Yes.", "Yes, please.", "OK", "Okay.", "Sure", "Fine.", "Good."),
     ("Good!", "Very well!", "All right!"),
     ("What would you like to ask me?", "What shall we talk about?")),
    (("No", "No.", "No, thank you.", "Not now.", "Maybe.", "I don't know.", "Never mind."),
     ("All right.", "That is fine.", "No problem."),
     ("Tell me if you need something.", "I am here if you want to talk.")),
)

_GREET_ASKED = ("Say hello to {}.", "Please say hello to {}.", "Greet {}.", "Say hi to {}.",
                "Can you say hello to {}?", "Write a greeting for {}.", "Welcome {}.",
                "Say good morning to {}.", "Say goodbye to {}.", "Wish {} a happy birthday.",
                "Thank {} for the help.", "Say hello to my friend {}.",
                "Say a friendly hello to {}.",
                "Tell {} hello from me.", "Write hello to {}.", "Write a short hello for {}.",
                "Please greet {}.", "Could you greet {}?", "Say hello to {}, please.",
                "This is my friend {}. Say hello!", "{} is here. Say hello.")
_SAY_ASKED = ("Say {}.", "Say the word {}.", "Write the word {}.", "Please say {}.", "Just say {}.",
              "Only write {}.", "Print {}.")
_WORDS = ("hello", "yes", "no", "please", "thanks", "bread", "summer", "winter", "music", "water",
          "sun", "moon", "star", "river", "mountain", "house", "garden", "cheese", "banana", "tree")


def greeting(draw: Draw) -> Exchange:
    """Hello, thanks, goodbye and moods."""
    shape = draw.free(("hello", "hello", "hello", "thanks", "bye", "sad", "happy"))
    if shape == "hello":
        user = draw.ask("ask-hello-there", _HELLO, 6)
        first = draw.free(_FINE if "how" in user.lower() and "dy" not in user else _HELLO_BACK)
        return Exchange(user, [first, draw.free(_HELP)], may_tone=False)
    asked, back, more = {
        "thanks": (_THANKS, _WELCOME, ("Is there anything else?", "Ask me again at any time.")),
        "bye": (_BYE, _BYE_BACK, ()), "sad": (_SAD, _SAD_BACK, _SAD_HELP),
        "happy": (_HAPPY, _HAPPY_BACK, ("Tell me more about it.", "I am happy for you.")),
    }[shape]
    user = draw.ask(f"ask-{shape}", asked, 2)
    answer = [draw.free(back)]
    if more and draw.chance(0.6):
        answer.append(draw.free(more))
    return Exchange(user, answer, may_tone=False)


def about_me(draw: Draw) -> Exchange:
    """What rookie says about itself, and short replies."""
    asked, first, more = draw.rng.choice(_ABOUT_ME)
    user = draw.ask("ask-who" if asked is WHO_ASKED else "ask-me", asked, 4)
    answer = [draw.free(first)]
    if draw.chance(0.7):
        answer.append(draw.free(more))
    return Exchange(user, answer, may_tone=False)


def greet_somebody(draw: Draw) -> Exchange:
    """A small instruction with a name that has to be copied."""
    name = words.any_name(draw)
    asked = draw.ask("ask-greet", _GREET_ASKED, 2)
    forms = ("Hello, {}!", "Hello, {}! It is nice to see you.", "Hello, {}! How are you today?")
    for word, others in (("morning", ("Good morning, {}!", "Good morning, {}! Have a nice day!")),
                         ("hi ", ("Hi, {}!", "Hi, {}! How are you?")),
                         ("goodbye", ("Goodbye, {}!", "Goodbye, {}! Take care!")),
                         ("birthday", ("Happy birthday, {}!", "Happy birthday, {}! I wish you all "
                                       "the best.")),
                         ("Thank", ("Thank you for your help, {}!",)),
                         ("Welcome", ("Welcome, {}!", "Welcome, {}! It is nice to see you."))):
        if word in asked:
            forms = others
    return Exchange(asked.format(name), [draw.free(forms).format(name)], name,
                    may_tone=False, may_lower=False)


def say_word(draw: Draw) -> Exchange:
    """A word that has to be said again."""
    world, options = draw.rng.choice((("hero", words.ANIMALS + words.JOBS),
                                      ("thing", words.OBJECTS[:44]), ("say", _WORDS)))
    word = draw.pick(world, options)
    user = draw.ask("ask-say", _SAY_ASKED, 2).format(word)
    return Exchange(user, [f"{upper_first(word)}."], upper_first(word), may_tone=False,
                    may_lower=False)


def sentence_with(draw: Draw) -> Exchange:
    """A sentence or a description that uses given words."""
    noun = draw.pick("hero", words.ANIMALS)
    thing = draw.pick("thing", words.OBJECTS[:44])
    if draw.chance(0.5):
        user = draw.ask("ask-sentence", ("Write a sentence about {}.",
                                          "Write one sentence about {}.",
                                          "Make a sentence with the word {}.",
                                          "Say something about {}."), 1)
        user = user.format(noun if "word" in user else f"a {noun}" if noun[0] not in "aeiou"
                           else f"an {noun}")
        body = draw.free(("The {} found the {} and was happy.", "The {} is looking for the {}.",
                          "The {} sits quietly and looks at the {}.")).format(noun, thing)
        return Exchange(user, [body], noun)
    user = draw.ask("ask-sentence-two", ("Write a sentence with {} and {}.",
                                          "Make a sentence with the words {} and {}.",
                                          "Use {} and {} in one sentence."), 1)
    body = draw.free(("The {} found the {} and was happy.", "The {} put the {} on the table.",
                      "The {} gave the {} to a friend."))
    return Exchange(user.format(noun, thing), [body.format(noun, thing)], thing)
