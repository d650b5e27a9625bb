"""Knows more ways to ask for words that an answer has to have; refuses to know answers."""

STARTS = (
    '[Each|Every] [answer|reply|response] [must|should|has to] [start|begin|open] with "{}".',
    '[Start|Begin|Open] [each|every] [answer|reply|response] with "{}".',
    '[Always|Please always] [start|begin|open] [your answers|your replies] with "{}".',
    'The first words of [each|every] [answer|reply|response] [are|must be|should be] "{}".',
    'You are someone who [starts|begins|opens] [each|every] [answer|reply] with "{}".',
    'I want [each|every] [answer|reply|response] to [start|begin|open] with "{}".',
    '"{}" [comes|goes|stands] first in [each|every] [answer|reply|response].',
    '"{}" is how [each|every] [answer|reply|response] [starts|begins|opens].',
    '[All|All the|All of your] [answers|replies|responses] [start|begin|open] with "{}".',
    'The [answers|replies|responses] [start|begin|open] with "{}"[, without exception|, always|].',
    "No [answer|reply|response] [may|should|can] [start|begin|open] with anything [but|other "
    'than] "{}".',
    'Never [start|begin|open] [an answer|a reply] with anything [but|other than|except] "{}".',
    "[Whatever|No matter what] the user asks, [start|begin|open] [your answer|your reply] with "
    '"{}".',
    'If you are asked [something|anything], [start|begin|open] your [answer|reply] with "{}".',
    "You work as [a porter|a clerk|a host] who [starts|begins|opens] [each|every] reply with "
    '"{}".', '[Would|Could] you [please |]start [each|every] [answer|reply] with "{}"?',
    'Before [the answer|the answer itself|each answer], [say|write|put] "{}".',
    'First [say|write|put] "{}", then [answer|give the answer|reply][ to the question|].',
    '[Say|Write] "{}" first, [and then|then] [give the answer|answer the question].',
    'Put "{}" [in front of|before|at the head of] [each|every] [answer|reply|response].',
    'Put "{}" at the [start|beginning|front|very start] of [each|every] [answer|reply|response].',
    '[Opening|Opening words|First words] of [each|every] [answer|reply|response]: "{}".',
    '[Each|Every] [answer|reply] is [preceded|introduced|opened] by "{}".',
    '[Lead off|Open|Begin] with "{}" [each time|every time|whenever] you [answer|reply].',
    'When you [answer|reply|respond], [start|begin|open] with "{}".',
    "It is [important|essential] that [each|every] [answer|reply] [starts|begins|opens] with "
    '"{}".',
    '[An answer|A reply] that does not [start|begin|open] with "{}" is [wrong|not allowed].',
    'The [users|guests|customers] [like|expect] [answers|replies] that [start|begin] with "{}".',
    'Use "{}" as the [opening|beginning|start] of [each|every] [answer|reply|response].',
    'Your [answers|replies|responses] [must|should|have to] [start|begin|open] with "{}".',
    '[I need|I would like] your [answers|replies] to [start|begin|open] with "{}"[, please|].',
    "As [a host|a clerk|an announcer], you [start|begin|open] [each|every] [answer|reply] with "
    '"{}".', 'Let [each|every] [answer|reply|response] [start|begin|open] with "{}".',
    'Make sure [that |][each|every] [answer|reply] [starts|begins|opens] with "{}".',
    '[Reply opening|Answer opening|Opening line]: [always |]"{}".',
    '[Do not|Never] [answer|reply] without [first saying|first writing|starting with] "{}".',
    '[Please|Always] say "{}" before [anything else|the rest] in [each|every] [answer|reply].',
)
ENDS = (
    '[Each|Every] [answer|reply|response] [must|should|has to] [end|finish|close] with "{}".',
    '[End|Finish|Close] [each|every] [answer|reply|response] with "{}".',
    '[Always|Please always] [end|finish|close] [your answers|your replies] with "{}".',
    'You are someone who [ends|finishes|closes] [each|every] [answer|reply] with "{}".',
    'I want [each|every] [answer|reply|response] to [end|finish|close] with "{}".',
    '"{}" is how [each|every] [answer|reply|response] [ends|finishes|closes].',
    '[All|All the|All of your] [answers|replies|responses] [end|finish|close] with "{}".',
    'The [answers|replies|responses] [end|finish|close] with "{}"[, without exception|, always|].',
    "No [answer|reply|response] [may|should|can] [end|finish|close] with anything [but|other "
    'than] "{}".',
    'Never [end|finish|close] [an answer|a reply] with anything [but|other than|except] "{}".',
    "[Whatever|No matter what] the user asks, [end|finish|close] [your answer|your reply] with "
    '"{}".',
    'If you are asked [something|anything], [end|finish|close] your [answer|reply] with "{}".',
    "You work as [a porter|a clerk|a host] who [ends|finishes|closes] [each|every] reply with "
    '"{}".', '[Would|Could] you [please |]end [each|every] [answer|reply] with "{}"?',
    'When you [answer|reply|respond], [end|finish|close] with "{}".',
    "It is [important|essential] that [each|every] [answer|reply] [ends|finishes|closes] with "
    '"{}".',
    '[An answer|A reply] that does not [end|finish|close] with "{}" is [wrong|not allowed].',
    'The [users|guests|customers] [like|expect] [answers|replies] that [end|finish] with "{}".',
    'Your [answers|replies|responses] [must|should|have to] [end|finish|close] with "{}".',
    '[I need|I would like] your [answers|replies] to [end|finish|close] with "{}"[, please|].',
    "As [a host|a clerk|an announcer], you [end|finish|close] [each|every] [answer|reply] with "
    '"{}".', 'Let [each|every] [answer|reply|response] [end|finish|close] with "{}".',
    'Make sure [that |][each|every] [answer|reply] [ends|finishes|closes] with "{}".',
    'The last words of [each|every] [answer|reply|response] [are|must be|should be] "{}".',
    '"{}" [comes|goes|stands] last in [each|every] [answer|reply|response].',
    'After [the answer|the answer itself|each answer], [say|write|add|put] "{}".',
    'First [give the answer|answer the question], then [say|write|add] "{}"[ at the end|].',
    '[Answer|Reply|Respond] first, and [finish|end|close] with "{}".',
    'Sign off [each|every] [answer|reply|response] with "{}".',
    '[Please sign|Sign] off with "{}" [each time|every time|whenever] you [answer|reply].',
    'Put "{}" [after|at the end of|at the very end of] [each|every] [answer|reply|response].',
    'Add "{}" [to the end of|after|at the close of] [each|every] [answer|reply|response].',
    '[Closing words|Last words|Sign-off] of [each|every] [answer|reply|response]: "{}".',
    '[Each|Every] [answer|reply] is [followed|closed|rounded off] by "{}".',
    'When you have [answered|replied|given the answer], [say|add|finish with|close with] "{}".',
    'Use "{}" as the [closing|ending|last words] of [each|every] [answer|reply|response].',
    '[Reply closing|Answer closing|Closing line|Sign-off]: [always |]"{}".',
    '[Do not|Never] finish [an answer|a reply] without [saying|adding|writing] "{}" [last|at the '
    "end].", '[Round off|Wrap up|Conclude] [each|every] [answer|reply|response] with "{}".',
)
CALLS = (
    "Call the [user|guest|customer] {} in [each|every] [answer|reply].",
    "Address the [user|guest|customer] as {} in [each|every] [answer|reply].",
    "The [user|guest|customer] is [called|named] {}; [say|use] the name in [each|every] "
    "[answer|reply].",
    "The [user|guest|customer] is {}, so [say|use] that name [when you answer|in your answers].",
    "You are [talking|speaking] to {}; [use|say] the name [in each answer|in every reply|when "
    "you answer].",
    "My name is {}, [and I want|and I would like] to hear it in [each|every] [answer|reply].",
    "I am {}; [call me that|use my name|say my name] in [each|every] [answer|reply|response].",
    "Your [answers|replies] [must|should|have to] [mention|contain|say] the name of the user, {}.",
    "[Each|Every] [answer|reply|response] [must|should|has to] address the [user|guest|customer] "
    "as {}.",
    "The [answers|replies|responses] [address|greet] the [user|guest|customer] as {}[, always|].",
    "The [user|guest|customer], {}, is [named|addressed by name] in [each|every] [answer|reply].",
    "No [answer|reply|response] [may|should|can] [leave out|go without|lack] the name of the "
    "user, {}.",
    "Never [answer|reply] without [saying|using|mentioning] the name of the [user|guest|boss], "
    "{}.",
    "You are someone who [addresses|speaks to] the [user|guest|customer] as {} in [each|every] "
    "reply.",
    "I want the [user|guest|customer|host] to be [called|addressed as] {} in [each|every] answer.",
    "[Whatever|No matter what] is asked, address the [user|guest|host] as {}[ in your answer|].",
    "You work as [a helper|a clerk|a porter] for {} and [say|use] that name in [each|every] "
    "[answer|reply].",
    "You work for {}[, your boss|], and you [say|use] that name in [each|every] [answer|reply].",
    "Your [boss|host|guest] is {}: [use|say] the name [whenever|each time|every time] you "
    "[answer|reply].",
    "[Would|Could] you [please |]call me {} in [each|every] [answer|reply|response]?",
    "[Please call|Call] me {} [whenever|each time|every time] you [answer|reply].",
    "[User|Guest|Customer]: {}. [Say|Use|Mention] the name in [each|every] "
    "[answer|reply|response].",
    "[Name of the user|Name of the guest]: {}. [Say|Use] it in [each|every] [answer|reply].",
    "[The person|The one] asking is {}; [say|use|mention] the name in [each|every] "
    "[answer|reply].",
    "When you [answer|reply|respond], address the [user|guest|customer|host] as {}.",
    "If the [user|guest|customer] asks [something|anything], say [his or her|the] name, {}, as "
    "you answer.",
    "It is [important|essential] that you [say|use] the name of the [user|guest], {}, in "
    "[each|every] answer.",
    "Do not forget that you are talking to {}, and [say|use] the name in [each|every] "
    "[answer|reply].",
    "[Speak|Talk] to the [user|guest|customer], {}, by name in [each|every] [answer|reply].",
    "The [user|guest|customer] [likes|wants] to be called {} in [each|every] [answer|reply].",
    "{} is the [user|guest|customer]; [say|use|mention] the name in [each|every] [answer|reply].",
    "{} is [asking|talking to you], so [say|use] that name in [each|every] [answer|reply].",
    "{} [likes|wants|expects] to be [called|addressed] by name in [each|every] [answer|reply].",
    "[Answer|Reply to] {} by name[, every time|, always|, whatever the question|].",
    "As [a butler|a clerk|a helper], you address your [guest|host] as {} in [each|every] "
    "[answer|reply].",
    "Make sure [that |][each|every] [answer|reply] addresses the [user|guest|customer] as {}.",
)
ROLE = (
    "You are {name}, {role}[, and you speak as such|, and you answer as such|].",
    "You are {role}[, and your name is| and your name is|, called|, named] {name}.",
    "Your name is {name}[ and|, and] you are {role}.",
    "[Play|Take|Act] the part of {name}, {role}[, in every answer|, at all times|].",
    "[Answer|Reply|Respond|Speak] as {name}, {role}[, in every reply|, whatever is asked|].",
    "[Pretend|Imagine] that you are {name}, {role}.",
    "[You are called|You go by the name of|Your name is] {name}. You are {role}.",
    "[Your name|Name]: {name}. [Your role|Role|Job|Your job]: {role}.",
    "I want you to [be|speak as|answer as|play] {name}, {role}[, please|].",
    "[I would like|I need] you to [be|speak as|answer as] {name}, {role}.",
    "[Would|Could] you [please |]answer as {name}, {role}?",
    "[Would|Could] you [please |]play {name}, {role}?",
    "The [assistant|helper|speaker] is {name}, {role}[, and nobody else|].",
    "The [assistant|helper] is {role} and [is called|is named|goes by the name of] {name}.",
    "The [answers|replies] [come from|are given by|are those of] {name}, {role}.",
    "[Each|Every] [answer|reply] [comes from|is given by] {name}, {role}.",
    "[Here|In this chat|In this talk], you are {name}, {role}.",
    "[From now on|Today|For now|Now] you are {name}, {role}.",
    "You are [none other than|no one but|nobody but] {name}, {role}.",
    "You are not [a machine|a program|an assistant] here; you are {name}, {role}.",
    "Never [forget|lose sight of the fact] that you are {name}, {role}.",
    "[Remember|Bear in mind|Keep in mind] that you are {name}, {role}.",
    "If [anyone|someone|a user] asks who you are, you are {name}, {role}.",
    "Whatever the [user|guest] may [ask|want|say], you are {name}, {role}.",
    "[Role|Part|Character|Persona]: {name}, {role}.",
    "[Be|Please be|Always be] {name}, {role}[, in your answers|, in this chat|].",
    "[People|Users|The guests] [know|will meet] you as {name}, {role}.",
    "[Everyone|Everybody] calls you {name}, and [you are|you work as] {role}.",
    "[Stay in character as|Put yourself in the shoes of|Take on the role of] {name}, {role}.",
    "[As|Since you are] {role}, you [go by|answer to|use] the name {name}.",
    "You work as {role}, and [your name is|people call you|you are called] {name}.",
    "{name} is [your name|what you are called], and you are {role}[ in this chat|].",
    "{name}, {role}: that is [you|who you are|your part][ in this chat| here|].",
    "You have been [hired|chosen|taken on] as {role}[, and| and] your name is {name}.",
    "The user is [talking|speaking|writing] to [you, |]{name}, {role}.",
)
SCOPE = (
    '[Answer|Take] only questions about {0}; to [any other|all others], [say|reply] "{1}"',
    "[Only|Just] answer questions about {0}. [To anything else|To all else], [say|reply|answer] "
    '"{1}"',
    "You [answer|take] questions about {0} only. [Otherwise|In all other cases], [say|reply] "
    '"{1}"',
    "You are someone who [discusses|talks about] only {0} and [answers|meets] all other "
    'questions with "{1}"',
    "You [talk|speak] only about {0}. If [asked about|the question is about] anything else, say "
    '"{1}"',
    '[Questions|All questions] that are not about {0} [get|receive] [the reply|the answer] "{1}"',
    '[Each|Every] question [that is not about|not about] {0} gets [the reply|the answer] "{1}"',
    "I want [answers|replies] about {0} only; [for anything else|otherwise], [say|write] just "
    '"{1}"',
    '[Please stick|Stick] to {0}. To [any other|every other] question, [say|reply|answer] "{1}"',
    '[Topic|Subject]: {0} only. [Reply|Answer] to [anything else|any other question]: "{1}"',
    '[Whenever|When|If] a question is not about {0}, [say|reply|answer] [just |only |]"{1}"',
    "If the user asks about [anything|something] other than {0}, [say|reply|answer] [only |just "
    '|]"{1}"', 'Unless the question is about {0}, [say|reply|answer|respond] [only |just |]"{1}"',
    'Never answer questions that are not about {0}; [say|reply|write] "{1}" instead.',
    'No [answers|replies] on [topics|subjects] other than {0}: [say|write] "{1}" [instead.|and '
    "nothing else.]",
    "You work as a [clerk|guide|teacher] for {0} and [say|reply] to [all else|all other "
    'questions] "{1}"',
    "Your [topic|subject|field] is {0}; [any other|every other] question [gets|is answered with] "
    '"{1}"',
    'You [help|can help] with {0} and [nothing else|no other topic]. Off topic, [say|reply] "{1}"',
    '[Would|Could] you [please |]answer questions about {0} only, and to all others say "{1}"',
    'Say "{1}" to [any|every|each] question that is [not about|about anything but] {0}.',
    '[Reply|Answer|Respond] "{1}" [if|when|whenever] a question is not about {0}.',
    '"{1}" is [the reply|your answer|what you say] to [any|every] question that is not about {0}.',
    '[A question|Any question] on anything but {0} is [answered|turned down] with "{1}"',
    "[Keep|Limit yourself|Stick] to {0}, and [meet|answer] [all other|any other] questions with "
    '"{1}"',
    'The [answers|replies] [cover|deal with] {0} only; [all other|any other] questions get "{1}"',
    'It is [important|essential] that you answer only questions about {0}; to others, say "{1}"',
    "[Turn down|Refuse] [every|any] question that is not about {0} [by saying|with the words] "
    '"{1}"',
    "As [a guide|an expert|a teacher], you know only {0}; [to other|to all other] questions you "
    'say "{1}"',
    '[Topics|Subjects] other than {0} are [off limits|not for you]: [say|reply] "{1}"',
    'Is the question about {0}? Then answer it; [if not|otherwise], [say|reply|write] "{1}"',
    "You are [a helper|an assistant] for {0}. [To|For] [any other|every other] question, say "
    '"{1}"',
    'Talk about {0} [and nothing else|only]. When [asked|you are asked] something else, say "{1}"',
    "[A question|Any question] about {0} [gets|is given] an answer; [any other|every other one] "
    'gets "{1}"',
    "Your [users|guests|customers] come for {0}; if they ask [about anything|for anything] else, "
    'say "{1}"',
    '[I only need|I only want] help with {0}, so [say|reply] "{1}" to [anything else.|all other '
    "questions.]",
)
