"""Guesses at the next tokens of a sequence: what followed the last time it said the same.

Prompt-lookup decoding (Saxena 2023): the last few tokens are looked for earlier in the sequence's
own prompt and output, and what came after them is the draft. Knows token ids, no probabilities:
whether a draft holds is decided elsewhere, so a bad one costs time and never changes an answer.
"""

import math
from array import array
from dataclasses import dataclass, field

MAX_DRAFT = 8
"""Tokens of a draft at most: text that repeats itself seldom does so for much longer."""

_WORTH = 0.25
"""A token is drafted if the chance that it is kept is at least this, which stands for what its row
costs as a share of a step: less than that wherever drafts are made at all."""
_FIRST_CHANCE = 0.5
_LEARNING_RATE = 0.2
_FORGETTING_RATE = 0.01
"""How fast a poor record fades, per draft that was not made for it: the next try comes after
about 20 of them."""

# The last three tokens as one number, 20 bits each. A larger id or the beginning of a sequence
# makes different n-grams look alike, which is one more way to guess wrong.
_ID_BITS = 20
_TRIGRAM = (1 << 3 * _ID_BITS) - 1
_BIGRAM = (1 << 2 * _ID_BITS) - 1


@dataclass(slots=True)
class _Continuations:
    """What followed n-grams of one length, and how well that predicted."""

    mask: int
    """Takes such an n-gram out of the last three tokens."""
    begin: dict[int, int] = field(default_factory=dict[int, int])
    """N-gram -> position after its latest occurrence."""
    chance: float = _FIRST_CHANCE
    """That a drafted token is kept if all before it are: a running mean."""

    def length(self) -> int:
        """How many tokens of a draft are worth their rows."""
        if self.chance < _WORTH:
            self.chance += _FORGETTING_RATE * (_FIRST_CHANCE - self.chance)
            return 0
        if self.chance >= _WORTH ** (1 / MAX_DRAFT):
            return MAX_DRAFT
        return int(math.log(_WORTH) / math.log(self.chance))

    def learn(self, drafted: int, accepted: int) -> None:
        for _ in range(accepted):
            self.chance += _LEARNING_RATE * (1 - self.chance)
        if accepted < drafted:
            self.chance -= _LEARNING_RATE * self.chance


class PromptLookup:
    """Index of one sequence's n-grams, and how often its drafts were right."""

    def __init__(self, tokens: "array[int]") -> None:
        """`tokens` may grow, and nothing else; it is read again at every draft."""
        self._tokens = tokens
        self._indexed = 0
        self._recent = 0
        # The longer n-gram is the better witness.
        self._lengths = (_Continuations(_TRIGRAM), _Continuations(_BIGRAM))
        self._used = self._lengths[0]

    def draft(self, limit: int) -> tuple[int, ...]:
        """At most `limit` tokens that may come next; empty if nothing promises to be right."""
        if limit < 1:
            return ()
        self._index()
        tokens = self._tokens
        for continuations in self._lengths:
            begin = continuations.begin.get(self._recent & continuations.mask)
            length = 0 if begin is None else min(limit, continuations.length())
            if begin is not None and length:
                self._used = continuations
                # What runs into the end of the sequence is taken to go on in circles.
                period = len(tokens) - begin
                return tuple(tokens[begin + i % period] for i in range(length))
        return ()

    def learn(self, drafted: int, accepted: int) -> None:
        """Told of the fate of the last draft."""
        self._used.learn(drafted, accepted)

    def _index(self) -> None:
        """Takes in the tokens that are new; each costs the same, however long the sequence is."""
        tokens, recent = self._tokens, self._recent
        trigrams, bigrams = (one.begin for one in self._lengths)
        for position in range(self._indexed, len(tokens)):
            trigrams[recent] = position
            bigrams[recent & _BIGRAM] = position
            recent = (recent << _ID_BITS | tokens[position]) & _TRIGRAM
        self._recent, self._indexed = recent, len(tokens)
