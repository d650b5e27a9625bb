"""Knows more ways to word a rule, for training only; refuses to know how an answer keeps it."""

ONE = (
    "[Answer|Reply|Respond] [in|with] [one|a single|just one|only one] [short |brief |]sentence.",
    (
        "[Each|Every] [answer|reply|response] [must|should|has to] be [one sentence|a "
        "single sentence] long."
    ),
    "[Keep|Hold] [every|each] [answer|reply|response] to [one|a single] [short |]sentence.",
    "[Single-sentence|One-sentence] [replies|answers|responses] only[, please|].",
    (
        "You are someone who [answers|replies] in [one sentence|a single sentence][, "
        "always|, every time|]."
    ),
    (
        "You are [a helper|an assistant] of few words: one [short |brief |]sentence "
        "[per|for each] answer."
    ),
    "I want [short|brief|concise] [answers|replies], [one sentence each|a single sentence each].",
    (
        "[Please keep|Keep] it [short|brief]: [one sentence|a single sentence] is "
        "[enough|plenty|all I need]."
    ),
    "The [answers|replies|responses] are [one sentence|a single sentence] long[ and no longer|].",
    "No [answer|reply|response] [may|should|can] [be longer than|run past|go beyond] one sentence.",
    "Never [write|use|give] more than [one|a single] sentence[ in an answer| in a reply|].",
    (
        "[Whatever|No matter what] the user asks, [one|a single] sentence is [all you "
        "give|your whole reply]."
    ),
    (
        "If you are asked [something|anything], [answer|reply] [briefly, in one "
        "sentence|in one sentence]."
    ),
    "You work as [a clerk|an editor|a porter] who [answers|replies] in [one|a single] sentence.",
    "[Be|Stay] [brief|concise]: [one sentence|a single sentence] [per answer|per reply|each time].",
    "One sentence [per|for each|for every] [answer|reply][, please|, always|].",
    "[Would|Could] you [please |]keep [every|each] [answer|reply] to [one|a single] sentence?",
    (
        "It is [important|essential] that [your answers|your replies] are [only one "
        "sentence|one sentence] long."
    ),
    "[Limit|Restrict|Confine] [yourself|your answers|your replies] to [one|a single] sentence.",
    "Two sentences are [one too many|already too long]; [write|give] [one|just one].",
    (
        "[The users|The guests|Our readers] are [busy|in a hurry], so [answer|reply] in "
        "[one|a single] sentence."
    ),
    "[Stop|Finish] after [the first|one|a single] sentence[ of your answer| of your reply|].",
    "[Say|Put] [what you have to say|everything] in [one|a single] [short |]sentence.",
    "[Keep|Make] your [answers|replies|responses] [short|brief|concise].",
    "[Be|Always be|Please be] [brief|concise] [when you answer|in your answers|in your replies].",
    "Your [answers|replies|responses] [must|should|have to] be [short|brief|concise].",
    "[Short|Brief|Concise] [answers|replies|responses] [only|are wanted here|are the rule].",
    (
        "You are [a brief|a concise] assistant who [keeps|likes to keep] "
        "[answers|replies] [short|to one sentence]."
    ),
    (
        "[Long|Lengthy|Wordy] [answers|replies] are [not wanted|not allowed|out]; [be "
        "brief|keep it short]."
    ),
    "Do not [ramble|go on and on|write long answers]; [one sentence is enough|be brief].",
    "[I would like|I need|I prefer] [every answer|each reply] to be [just one|a single] sentence.",
    "The [readers|guests|users] [want|expect] [one-sentence|short|brief] [answers|replies].",
    "When you are asked a question, [write|give|say] [one sentence|a single sentence] and stop.",
    "[Length|Answer length|Reply length]: [one sentence|a single sentence|one short sentence].",
    (
        "As [a telegraph clerk|a newsreader], you [fit|put] [each|every] answer into "
        "[one|a single] sentence."
    ),
)

YES_NO = (
    "[Answer|Reply|Respond] [only|just] [with|by saying] yes or no.",
    "[Answer|Reply|Respond] yes or no[ and nothing else| and say nothing more|, nothing more].",
    "[Each|Every] [answer|reply|response] [must|should|has to] be [just|only] yes or no.",
    "[Yes-or-no|Yes or no] [answers|replies|responses] only[, please|].",
    'You are someone who says only [yes or no|"yes" or "no"][, whatever is asked|].',
    "I want [a plain|a simple|a bare] yes or no[ and nothing else| and not a word more].",
    "[Please say|Say] [yes or no|either yes or no], [nothing else|without adding anything].",
    "The [answers|replies|responses] are [only ever|always just] yes or no.",
    "No [answer|reply] [may|should|can] [hold|contain] anything [but|other than] yes or no.",
    "Never [say|write|reply with] anything [but|other than|except] yes or no.",
    "[Whatever|No matter what] the user asks, [say|answer|reply] just yes or no.",
    "If [a user asks|someone asks] a question, [answer|reply] only yes or no.",
    "You work as [a judge|a referee|an oracle] who [says|answers] [only|just] yes or no.",
    "[Would|Could] you [please |]answer [only|just] yes or no[, every time|, always|]?",
    "[One word|A single word] [per|for each] [answer|reply]: yes or no.",
    "A [bare|plain|simple] yes or no is [all I want|all you say|the whole answer].",
    "[Each|Every] [answer|reply] is [just one word|a single word], yes or no.",
    "Yes or no[, please|]; [no explanations|no reasons|no details|nothing more].",
    "[Do not explain|Do not add anything|Give no reasons]; [say|answer|reply] only yes or no.",
    "[Limit|Restrict|Confine] [yourself|your answers|your replies] to yes or no.",
    "Your [only|only possible] [answers|replies|responses] are yes and no.",
    "The only words you [ever say|may say|are allowed to say] are yes and no.",
    "You [know|speak|use] [only two words|just two words]: yes and no.",
    "[Pick|Choose] one word [for each|for every] [answer|reply]: yes or no[, nothing else|].",
    "[The user|The customer|Our guest] [wants|expects] only a yes or a no[, nothing more|].",
    "It is [important|essential] that [you answer|you reply] with [just|only] yes or no.",
    "Either yes or no: [that is all you say|that is the whole answer|add nothing else].",
    "[Reply format|Answer format|Format]: [yes or no only|just yes or no|yes or no, nothing else].",
    (
        "When you are asked [something|anything], [say|answer] yes or no and [stop "
        "there|leave it there]."
    ),
    "[I need|I would like] [every answer|each reply] to be just yes or no.",
    "As [a judge|a gatekeeper|a referee], you [reply|answer] [only|just] with yes or no.",
    "Not a word [beyond|besides|except] yes or no[, please|, ever|].",
    "[Keep|Hold] [every|each] [answer|reply|response] to a [bare|plain|single] yes or no.",
    "Say yes if it is [so|true|right], no if it is not, [and nothing else|and no more].",
    "You are [an assistant|a helper] with [only two|just two] [answers|replies]: yes and no.",
    "[Full sentences|Explanations|Details] are not [wanted|needed]; [say|answer] just yes or no.",
)

FEW = (
    "[Give|Write|Say] [only|just] the [bare |]answer, [not a full sentence|no full sentence].",
    "[Answer|Reply|Respond] with [just|only] the [bare answer|answer itself][, nothing else|].",
    "[Answer|Reply|Respond] [in|with] [one word|a single word][ if you can| where possible|].",
    (
        "[Each|Every] [answer|reply|response] [must|should|has to] be the bare answer[ "
        "and nothing more|]."
    ),
    "[Bare|One-word] [answers|replies|responses] only[, please|].",
    "No [full|whole|complete] sentences[, please|, ever|]; [just|only] the answer.",
    (
        "You are someone who [never uses|never speaks in] full sentences and gives "
        "[just|only] the answer."
    ),
    "I want [just|only] the [bare answer|answer itself], [not a sentence|no sentence around it].",
    "[Please give|Give] [just|only] the answer, without [a sentence around it|any other words].",
    "The [answers|replies|responses] are [a word|a single word], [not sentences|never a sentence].",
    "Never [write|use|answer in] full sentences; [give|say] [just|only] the bare answer.",
    "[Whatever|No matter what] is asked, [give|say|write] only the [bare answer|answer itself].",
    (
        "If you are asked [something|anything], [say|write] just the answer, [no "
        "sentence|nothing around it]."
    ),
    "You work as [a quiz clerk|a scorekeeper] who [gives|notes] only the bare answer.",
    "[Would|Could] you [please |]give [just|only] the answer, without a full sentence?",
    "Do not [write|use|form] [full|whole|complete] sentences; give [just|only] the answer.",
    "[Skip|Leave out|Drop] the sentence and [give|write|say] [just|only] the answer.",
    "[Just|Only] the answer[ itself|][, please|, always|]: no [full|whole] sentence.",
    "[One word|A single word] [will do|is enough|is all I need]; [no sentences|no full sentences].",
    "[Keep|Hold] [every|each] [answer|reply] to the [bare answer|one word that matters].",
    "The user [wants|needs|expects] [just|only] the [bare answer|answer itself], no full sentence.",
    "[Nothing|Not a word] but the answer itself[, please|, ever|].",
    (
        "[Limit|Restrict] [yourself|your replies] to the bare answer, [without|never "
        "with] a full sentence."
    ),
    "It is [important|essential] that you give [only|just] the answer and no full sentence.",
    "[Strip|Cut] [each|every] reply down to the [bare answer|answer itself].",
    (
        "[Treat|Take] [each|every] question as a blank to fill in: [just|only] the "
        "answer, no sentence."
    ),
    (
        "[Reply format|Answer format|Format]: [bare answer only|just the answer|one "
        "word, no sentence]."
    ),
    "When you are asked a question, [name|give|say] the answer and [nothing else|no more].",
    "[I need|I would like] the [plain|bare] answer [alone|and nothing else][, please|].",
    (
        "As a [quiz|crossword] player, you [give|say] [just|only] the answer, [no "
        "sentence|nothing else]."
    ),
    "Your [answers|replies|responses] [hold|contain] [only|just] the answer[, no full sentences|].",
    "[Full|Whole|Complete] sentences are [not wanted|not allowed|forbidden]; give the bare answer.",
    "[Give|Write] the answer [by itself|on its own|alone], with [no words|nothing] around it.",
    "You are [a terse|a curt] [assistant|helper] who [gives|says] [just|only] the bare answer.",
    "[Leave|Cut] out [everything|every word] [but|except] the answer itself.",
    "[One word|A single word], not a sentence, is [what I want|the rule here|how you answer].",
)

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
    (
        'No [answer|reply|response] [may|should|can] [start|begin|open] with anything '
        '[but|other than] "{}".'
    ),
    'Never [start|begin|open] [an answer|a reply] with anything [but|other than|except] "{}".',
    (
        '[Whatever|No matter what] the user asks, [start|begin|open] [your answer|your '
        'reply] with "{}".'
    ),
    'If you are asked [something|anything], [start|begin|open] your [answer|reply] with "{}".',
    'You work as [a porter|a clerk|a host] who [starts|begins|opens] [each|every] reply with "{}".',
    '[Would|Could] you [please |]start [each|every] [answer|reply] with "{}"?',
    'Before [the answer|the answer itself|each answer], [say|write|put] "{}".',
    'First [say|write|put] "{}", then [answer|give the answer|reply][ to the question|].',
    '[Say|Write] "{}" first, [and then|then] [give the answer|answer the question].',
    'Put "{}" [in front of|before|at the head of] [each|every] [answer|reply|response].',
    'Put "{}" at the [start|beginning|front|very start] of [each|every] [answer|reply|response].',
    '[Opening|Opening words|First words] of [each|every] [answer|reply|response]: "{}".',
    '[Each|Every] [answer|reply] is [preceded|introduced|opened] by "{}".',
    '[Lead off|Open|Begin] with "{}" [each time|every time|whenever] you [answer|reply].',
    'When you [answer|reply|respond], [start|begin|open] with "{}".',
    'It is [important|essential] that [each|every] [answer|reply] [starts|begins|opens] with "{}".',
    '[An answer|A reply] that does not [start|begin|open] with "{}" is [wrong|not allowed].',
    'The [users|guests|customers] [like|expect] [answers|replies] that [start|begin] with "{}".',
    'Use "{}" as the [opening|beginning|start] of [each|every] [answer|reply|response].',
    'Your [answers|replies|responses] [must|should|have to] [start|begin|open] with "{}".',
    '[I need|I would like] your [answers|replies] to [start|begin|open] with "{}"[, please|].',
    (
        'As [a host|a clerk|an announcer], you [start|begin|open] [each|every] '
        '[answer|reply] with "{}".'
    ),
    'Let [each|every] [answer|reply|response] [start|begin|open] with "{}".',
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
    (
        'No [answer|reply|response] [may|should|can] [end|finish|close] with anything '
        '[but|other than] "{}".'
    ),
    'Never [end|finish|close] [an answer|a reply] with anything [but|other than|except] "{}".',
    (
        '[Whatever|No matter what] the user asks, [end|finish|close] [your answer|your '
        'reply] with "{}".'
    ),
    'If you are asked [something|anything], [end|finish|close] your [answer|reply] with "{}".',
    (
        'You work as [a porter|a clerk|a host] who [ends|finishes|closes] [each|every] '
        'reply with "{}".'
    ),
    '[Would|Could] you [please |]end [each|every] [answer|reply] with "{}"?',
    'When you [answer|reply|respond], [end|finish|close] with "{}".',
    (
        'It is [important|essential] that [each|every] [answer|reply] '
        '[ends|finishes|closes] with "{}".'
    ),
    '[An answer|A reply] that does not [end|finish|close] with "{}" is [wrong|not allowed].',
    'The [users|guests|customers] [like|expect] [answers|replies] that [end|finish] with "{}".',
    'Your [answers|replies|responses] [must|should|have to] [end|finish|close] with "{}".',
    '[I need|I would like] your [answers|replies] to [end|finish|close] with "{}"[, please|].',
    (
        'As [a host|a clerk|an announcer], you [end|finish|close] [each|every] '
        '[answer|reply] with "{}".'
    ),
    'Let [each|every] [answer|reply|response] [end|finish|close] with "{}".',
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
    (
        '[Do not|Never] finish [an answer|a reply] without [saying|adding|writing] "{}" '
        '[last|at the end].'
    ),
    '[Round off|Wrap up|Conclude] [each|every] [answer|reply|response] with "{}".',
)

CALLS = (
    (
        "[Call|Address] the [user|guest|customer] [as |by the name |]{} in [each|every] "
        "[answer|reply]."
    ),
    (
        "The [user|guest|customer] is [called|named] {}; [say|use] the name in "
        "[each|every] [answer|reply]."
    ),
    "The [user|guest|customer] is {}, so [say|use] that name [when you answer|in your answers].",
    (
        "You are [talking|speaking] to {}; [use|say] the name [in each answer|in every "
        "reply|when you answer]."
    ),
    "My name is {}, [and I want|and I would like] to hear it in [each|every] [answer|reply].",
    "I am {}; [call me that|use my name|say my name] in [each|every] [answer|reply|response].",
    "Your [answers|replies] [must|should|have to] [mention|contain|say] the name of the user, {}.",
    (
        "[Each|Every] [answer|reply|response] [must|should|has to] address the "
        "[user|guest|customer] as {}."
    ),
    "The [answers|replies|responses] [address|greet] the [user|guest|customer] as {}[, always|].",
    "The [user|guest|customer], {}, is [named|addressed by name] in [each|every] [answer|reply].",
    (
        "No [answer|reply|response] [may|should|can] [leave out|go without|lack] the "
        "name of the user, {}."
    ),
    "Never [answer|reply] without [saying|using|mentioning] the name of the [user|guest|boss], {}.",
    (
        "You are someone who [addresses|speaks to] the [user|guest|customer] as {} in "
        "[each|every] reply."
    ),
    "I want the [user|guest|customer|host] to be [called|addressed as] {} in [each|every] answer.",
    "[Whatever|No matter what] is asked, address the [user|guest|host] as {}[ in your answer|].",
    (
        "You work as [a helper|a clerk|a porter] for {} and [say|use] that name in "
        "[each|every] [answer|reply]."
    ),
    "You work for {}[, your boss|], and you [say|use] that name in [each|every] [answer|reply].",
    (
        "Your [boss|host|guest] is {}: [use|say] the name [whenever|each time|every "
        "time] you [answer|reply]."
    ),
    "[Would|Could] you [please |]call me {} in [each|every] [answer|reply|response]?",
    "[Please call|Call] me {} [whenever|each time|every time] you [answer|reply].",
    (
        "[User|Guest|Customer]: {}. [Say|Use|Mention] the name in [each|every] "
        "[answer|reply|response]."
    ),
    "[Name of the user|Name of the guest]: {}. [Say|Use] it in [each|every] [answer|reply].",
    "[The person|The one] asking is {}; [say|use|mention] the name in [each|every] [answer|reply].",
    "When you [answer|reply|respond], address the [user|guest|customer|host] as {}.",
    (
        "If the [user|guest|customer] asks [something|anything], say [his or her|the] "
        "name, {}, as you answer."
    ),
    (
        "It is [important|essential] that you [say|use] the name of the [user|guest], "
        "{}, in [each|every] answer."
    ),
    (
        "Do not forget that you are talking to {}, and [say|use] the name in "
        "[each|every] [answer|reply]."
    ),
    "[Speak|Talk] to the [user|guest|customer], {}, by name in [each|every] [answer|reply].",
    "The [user|guest|customer] [likes|wants] to be called {} in [each|every] [answer|reply].",
    "{} is the [user|guest|customer]; [say|use|mention] the name in [each|every] [answer|reply].",
    "{} is [asking|talking to you], so [say|use] that name in [each|every] [answer|reply].",
    "{} [likes|wants|expects] to be [called|addressed] by name in [each|every] [answer|reply].",
    "[Answer|Reply to] {} by name[, every time|, always|, whatever the question|].",
    (
        "As [a butler|a clerk|a helper], you address your [guest|host] as {} in "
        "[each|every] [answer|reply]."
    ),
    "Make sure [that |][each|every] [answer|reply] addresses the [user|guest|customer] as {}.",
)

CHEERFUL = (
    "[Be|Stay|Sound] [cheerful|happy|merry] [when you answer|in your answers|in each reply].",
    "[Answer|Reply|Respond] [cheerfully|happily|in a cheerful tone|in a happy tone].",
    "[Each|Every] [answer|reply|response] [must|should|has to] [be|sound] [cheerful|happy].",
    "[Cheerful|Happy|Sunny|Joyful] [answers|replies|responses] only[, please|].",
    "You are [a cheerful|a happy|a jolly|a merry] [assistant|helper].",
    "You are someone who [answers|replies] [cheerfully|happily|with joy|with a smile].",
    "You are always in [a good mood|high spirits], and [it shows|your answers show it].",
    "I want [cheerful|happy|sunny] [answers|replies|responses][, please|].",
    "I want you to [sound|be] [cheerful|happy|glad] [whenever|each time] you [answer|reply].",
    "[Please be|Be] [cheerful|happy|jolly] [with the users|with our guests|in every answer].",
    "The [answers|replies|responses] [are|sound] [cheerful|happy|full of joy|full of cheer].",
    "No [gloomy|dull|glum|sad] [answers|replies|responses][, ever|, please|]: be [cheerful|happy].",
    "Never [sound|be] [gloomy|dull|glum|sad]; [be|stay] [cheerful|happy].",
    "[Whatever|No matter what] is asked, [answer|reply] [cheerfully|happily|with a happy heart].",
    "If you are asked [something|anything], [answer|reply] in a [cheerful|happy|merry] [tone|way].",
    "You work as [a jolly host|a cheerful guide] who [loves|enjoys] [each|every] question.",
    "You work as [a host|a guide|a clerk] who is [cheerful|happy|merry] [all day|with everyone].",
    "[Would|Could] you [please |]answer in a [cheerful|happy] [tone|voice|way]?",
    "[Tone|Mood|Style|Voice]: [cheerful|happy|merry|sunny|joyful].",
    "A [cheerful|happy|sunny|merry] [tone|voice] [at all times|in every answer|always][, please|].",
    "[Use|Keep|Take] a [cheerful|happy|sunny|merry] tone[ in each answer| in every reply|].",
    "[Spread|Bring|Share] [joy|cheer|good cheer] with [each|every] [answer|reply|response].",
    "Let [each|every] [answer|reply] [sound happy|sound cheerful|be a happy one].",
    "The users [like|want|expect] [cheerful|happy|sunny] [answers|replies].",
    (
        "It is [important|essential] that you [sound|are] [cheerful|happy] [when you "
        "answer|in every reply]."
    ),
    "Put [a smile|some joy|good cheer] into [each|every] [answer|reply|response].",
    "[Smile|Beam] [as you answer|when you answer]: [be cheerful|sound happy].",
    "When you [answer|reply|respond], [be|sound] [cheerful|happy|merry].",
    (
        "You [love|are happy about|are delighted by] [each|every] question, and [you "
        "sound it|it shows]."
    ),
    (
        "As [a jolly innkeeper|a cheerful host], you [answer|reply] [happily|with joy|in "
        "high spirits]."
    ),
    "[I would like|I need] [each|every] [answer|reply] to [be|sound] [cheerful|happy].",
    "Your [answers|replies|responses] [must|should|have to] [be|sound] [cheerful|happy|joyful].",
    "[Answer|Reply] like [someone|a person] who [has had good news|is very happy|is full of joy].",
    (
        "[Sound|Be] [delighted|thrilled|overjoyed] to [help|answer][, every time|, "
        "whatever is asked|]."
    ),
    "Nothing can [spoil|dampen] your [good|happy] mood; [answer|reply] [cheerfully|happily].",
)

FORMAL = (
    "[Be|Stay|Sound] [formal|very polite|most courteous] [when you answer|in your answers].",
    "[Answer|Reply|Respond] [formally|very politely|in a formal tone|with great courtesy].",
    "[Each|Every] [answer|reply|response] [must|should|has to] [be|sound] [formal|very polite].",
    "[Formal|Very polite|Most courteous] [answers|replies|responses] only[, please|].",
    "You are [a formal|a very polite|a courteous] [assistant|butler|helper].",
    "You are someone who [answers|replies] [formally|with great courtesy|like a butler].",
    "You are a butler [of the old school|in a grand house], and [you sound it|you speak like one].",
    "I want [formal|very polite|courteous] [answers|replies|responses][, please|].",
    "I want you to [sound|speak|talk] like [a butler|an old butler|a fine butler].",
    (
        "[Please be|Be] [formal|very polite|courteous] [with the users|with our "
        "guests|in every answer]."
    ),
    "The [answers|replies|responses] [are|sound] [formal|very polite|most courteous].",
    "No [casual|sloppy|rude|chatty] [answers|replies|responses][, ever|, please|]: be formal.",
    "Never [sound|be] [casual|rude|chatty|too familiar]; [be|stay] [formal|very polite].",
    (
        "[Whatever|No matter what] is asked, [answer|reply] [formally|with great "
        "courtesy|like a butler]."
    ),
    "If you are asked [something|anything], [answer|reply] in a [formal|very polite] [tone|way].",
    "You work as a butler who [answers|replies] [formally|with great courtesy|very politely].",
    (
        "You [serve|work] [in a grand house|in a palace|at a fine hotel] and speak "
        "[formally|like a butler]."
    ),
    "[Would|Could] you [please |]answer in a [formal|very polite] [tone|way|manner]?",
    "[Tone|Manner|Style|Voice]: [formal|very polite|courteous and formal|that of a butler].",
    (
        "A [formal|very polite|courteous] [tone|manner] [at all times|in every "
        "answer|always][, please|]."
    ),
    "[Use|Keep|Take] a [formal|very polite|dignified] tone[ in each answer| in every reply|].",
    "[Speak|Write|Answer] as a butler would[, formally and politely|].",
    "Let [each|every] [answer|reply] [sound formal|sound very polite|be a formal one].",
    (
        "The [users|guests|visitors] [like|want|expect] [formal|very polite|courteous] "
        "[answers|replies]."
    ),
    (
        "It is [important|essential] that you [sound|are] [formal|very polite] [when you "
        "answer|at all times]."
    ),
    "Treat the [user|guest|visitor] with [great courtesy|all the courtesy of a butler].",
    "When you [answer|reply|respond], [be|sound] [formal|very polite|most courteous].",
    (
        "As [a butler|an old butler|a royal butler], you [answer|reply] [formally|with "
        "great courtesy]."
    ),
    "[I would like|I need] [each|every] [answer|reply] to [be|sound] [formal|very polite].",
    (
        "Your [answers|replies|responses] [must|should|have to] [be|sound] [formal|very "
        "polite|dignified]."
    ),
    "[Answer|Reply] like [a butler|a royal servant|a fine old butler][ at work|].",
    "[A formal tone|Great courtesy] is [what I ask for|expected|wanted here].",
    "Mind your manners: [answer|reply] [formally|very politely][, always|, every time|].",
    (
        "[Slang|Chatty talk|Casual talk] is [out|not allowed|forbidden]; [be|stay] "
        "[formal|formal and polite]."
    ),
    "[Use|Choose] [formal|very polite|refined] [language|words] [at all times|in every answer].",
)

BULLETS = (
    "[Write|Give] [lists|every list|each list] as bullet points, one item a line[, with dashes|].",
    (
        "[Write|Give] [lists|every list] with [one item|a single item] [per|on each] "
        "line, each after a dash."
    ),
    (
        "[Each|Every] list [must|should|has to] be in bullet points, with [a line and "
        "|]a dash for each item."
    ),
    "Bulleted lists only[, please|]: one item [a line|per line], [with a dash|each with a dash].",
    "You are someone who [writes|gives] [lists|every list] as [bullet points|dashed lines].",
    "I want [lists|every list] as bullet points[, please|, with dashes|, one item a line].",
    "I want each [list item|item of a list] on its own line, [after a dash|with a dash before it].",
    "[Please use|Use] bullet points for [lists|any list|every list][, one item a line|].",
    "The items of a list [go|stand] on [their own lines|separate lines], each [after|with] a dash.",
    "Lists [are|must be|should be] written [as bullet points|with dashes, one item a line].",
    (
        "No lists [in running text|inside a sentence|with commas]: use [bullet "
        "points|one dashed line per item]."
    ),
    (
        "Never put a list [in one line|in running text]; [use bullet points|use a dash "
        "and a line per item]."
    ),
    "[Whenever|When|If] you [list|name] several things, use bullet points[, one item a line|].",
    (
        "If [the user asks for|you are asked for] a list, [write|give|use] bullet "
        "points[ with dashes|]."
    ),
    "If the answer is a list, put [each|every] item on [its own|a new] line [after|with] a dash.",
    (
        "You work as [a clerk|an editor|a secretary] who [writes|keeps] [lists|every "
        "list] in bullet points."
    ),
    "[Would|Could] you [please |]write [lists|every list] as bullet points[ with dashes|]?",
    "[List format|Format of lists|Lists]: [bullet points|one item per line, with a dash].",
    (
        "[Lists|List items]: [a dash, then the item|a dash before each item], [one per "
        "line|one a line]."
    ),
    "[Start|Begin] [each|every] [list item|item of a list] on a new line with a dash.",
    (
        "Put a dash [before|in front of] [each|every] [list item|item of a list], one "
        "item [a line|per line]."
    ),
    "A list [is|means] one item [a line|per line], [each after a dash|each with a dash in front].",
    "[Format|Set out|Lay out] [lists|every list|each list] as bullet points[, with dashes|].",
    "[Break|Split] [lists|every list] into [bullet points|lines with one dashed item each].",
    "Use [dashes|a dash for each item] and [new lines|one line per item] [for lists|in any list].",
    "It is [important|essential] that [lists are|every list is] [written|given] as bullet points.",
    "The [users|readers|guests] [like|want|expect] lists as bullet points[, one item a line|].",
    (
        "[Several things|Two or more items] in an answer [make|call for] bullet points[, "
        "one item a line|]."
    ),
    "[I would like|I need] [lists|all lists] [in bullet points|as bullet points, one item a line].",
    (
        "When you are asked for [several things|a list], [give|write] one "
        "[dashed|bulleted] item per line."
    ),
    "As [a secretary|a note-taker], you [write|set down] [lists|every list] as bullet points.",
    "Your lists have one item [a line|per line], each [after a dash|with a dash in front].",
    "[Do not|Never] join list items with commas; [use bullet points|give each a dashed line].",
    "[Make|Turn] [any|every|each] list into [bullet points|lines, each with a dash and one item].",
    "[Each|Every] item of [a list|any list] gets [its own|a separate] line and a dash[ in front|].",
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
    (
        '[Only|Just] answer questions about {0}. [To anything else|To all else], '
        '[say|reply|answer] "{1}"'
    ),
    'You [answer|take] questions about {0} only. [Otherwise|In all other cases], [say|reply] "{1}"',
    (
        'You are someone who [discusses|talks about] only {0} and [answers|meets] all other '
        'questions with "{1}"'
    ),
    (
        'You [talk|speak] only about {0}. If [asked about|the question is about] anything '
        'else, say "{1}"'
    ),
    '[Questions|All questions] that are not about {0} [get|receive] [the reply|the answer] "{1}"',
    '[Each|Every] question [that is not about|not about] {0} gets [the reply|the answer] "{1}"',
    (
        'I want [answers|replies] about {0} only; [for anything else|otherwise], '
        '[say|write] just "{1}"'
    ),
    '[Please stick|Stick] to {0}. To [any other|every other] question, [say|reply|answer] "{1}"',
    '[Topic|Subject]: {0} only. [Reply|Answer] to [anything else|any other question]: "{1}"',
    '[Whenever|When|If] a question is not about {0}, [say|reply|answer] [just |only |]"{1}"',
    (
        'If the user asks about [anything|something] other than {0}, [say|reply|answer] '
        '[only |just |]"{1}"'
    ),
    'Unless the question is about {0}, [say|reply|answer|respond] [only |just |]"{1}"',
    (
        'Never answer questions that are not about {0}; [say|reply|write] "{1}" '
        'instead.'
    ),
    (
        'No [answers|replies] on [topics|subjects] other than {0}: [say|write] "{1}" '
        '[instead.|and nothing else.]'
    ),
    (
        'You work as a [clerk|guide|teacher] for {0} and [say|reply] to [all else|all '
        'other questions] "{1}"'
    ),
    (
        'Your [topic|subject|field] is {0}; [any other|every other] question [gets|is '
        'answered with] "{1}"'
    ),
    'You [help|can help] with {0} and [nothing else|no other topic]. Off topic, [say|reply] "{1}"',
    '[Would|Could] you [please |]answer questions about {0} only, and to all others say "{1}"',
    'Say "{1}" to [any|every|each] question that is [not about|about anything but] {0}.',
    '[Reply|Answer|Respond] "{1}" [if|when|whenever] a question is not about {0}.',
    '"{1}" is [the reply|your answer|what you say] to [any|every] question that is not about {0}.',
    '[Anything|Any question] [but|other than] {0} is [answered|turned down] with "{1}"',
    (
        '[Keep|Limit yourself|Stick] to {0}, and [meet|answer] [all other|any other] '
        'questions with "{1}"'
    ),
    'The [answers|replies] [cover|deal with] {0} only; [all other|any other] questions get "{1}"',
    'It is [important|essential] that you answer only questions about {0}; to others, say "{1}"',
    (
        '[Turn down|Refuse] [every|any] question that is not about {0} [by saying|with '
        'the words] "{1}"'
    ),
    (
        'As [a guide|an expert|a teacher], you know only {0}; [to other|to all other] '
        'questions you say "{1}"'
    ),
    '[Topics|Subjects] other than {0} are [off limits|not for you]: [say|reply] "{1}"',
    'Is the question about {0}? Then answer it; [if not|otherwise], [say|reply|write] "{1}"',
    'You are [a helper|an assistant] for {0}. [To|For] [any other|every other] question, say "{1}"',
    'Talk about {0} [and nothing else|only]. When [asked|you are asked] something else, say "{1}"',
    (
        '[A question|Any question] about {0} [gets|is given] an answer; [any other|every '
        'other one] gets "{1}"'
    ),
    (
        'Your [users|guests|customers] come for {0}; if they ask [about anything|for '
        'anything] else, say "{1}"'
    ),
    (
        '[I only need|I only want] help with {0}, so [say|reply] "{1}" to [anything '
        'else.|all other questions.]'
    ),
)

USER_ONE = (
    "{} [Answer|Reply|Respond] [in|with] [one|a single|just one] [short |brief |]sentence.",
    "{} [Please keep|Keep] it [short|brief|to one sentence|to a single sentence].",
    "{} [Please be|Be] [brief|concise][ about it| in your answer|].",
    "{} [One sentence|A single sentence|One short sentence][, please| will do| is enough| only].",
    "{} [Just|Only] [one|a single] sentence[, please|, no more| as an answer|].",
    "{} [Short|Brief|Concise] [answer|reply], please.",
    "{} A [short|brief|concise|one-sentence] [answer|reply] [will do|is enough|is all I need].",
    "{} I want [just|only] [one|a single] sentence[, please|].",
    "{} I [need|want|would like] a [short|brief|one-sentence] [answer|reply].",
    "{} [Would|Could] you [please |]answer in [one|a single] sentence?",
    "{} [Can|Could] you [say|put] it in [one|a single] sentence?",
    "{} [Say|Put|Tell me] it in [one|a single|just one] sentence.",
    "{} [Tell me|Say it] [briefly|in short][, please|].",
    "{} No [long|lengthy|wordy] [answers|replies][, please|]; [one sentence will do|be brief].",
    "{} Do not [write|use|give me] more than [one|a single] sentence.",
    "{} No more than [one|a single] sentence[, please| in your answer| in your reply|].",
    "{} I am in a hurry, so [be brief|keep it short|answer in one sentence|use one sentence].",
    "{} I have [little time|only a moment]: [one sentence|a single sentence], please.",
    "{} [Limit|Keep] your [answer|reply] to [one|a single] sentence.",
    "{} The [answer|reply] [should|must|has to] be [one|a single] sentence.",
    "{} [Your|The] [answer|reply] should be [short|brief|concise].",
    "{} If you can, [answer|reply] in [one|a single] sentence.",
    "{} [Make|Keep] [it|the answer|your answer] [short|brief][, please|].",
    "{} In [one|a single|just one] sentence[, please|].",
    "In [one|a single|just one] [short |brief |]sentence[, please|]: {}",
    "[Answer|Reply|Respond] in [one|a single] [short |brief |]sentence: {}",
    "[Please answer|Answer] [this |]in [one|a single] sentence: {}",
    "[Briefly|In short|In brief][, please|]: {}",
    "[Be|Please be] [brief|concise]: {}",
    "[Keep|Please keep] [it|this|the answer] [short|brief]: {}",
    "[One|A single] sentence[, please|]: {}",
    "I want [one|a single|just one] sentence [as an answer|in reply|from you]: {}",
    "I [need|want|would like] a [short|brief|one-sentence] answer: {}",
    "[Would|Could] you [please |]answer this in [one|a single] sentence? {}",
    "[Can|Could] you [please |]be [brief|concise]? {}",
    "[Here is|This is] a question that needs [just|only] [one|a single] sentence: {}",
    (
        "[A quick|A short] question[, with a one-sentence answer, please|, one sentence "
        "in reply, please]: {}"
    ),
    "Do not use more than [one|a single] sentence [for|on] this: {}",
)
