"""Regular expressions over module names, as PEFT's configs have them, matched without backtracking.

Knows the syntax that such patterns use and follows all alternatives at once (Thompson, CACM 1968),
so that none takes exponential time; knows nothing of models. Python's own `re` could be kept busy
for hours by an uploaded pattern of twenty characters, with the interpreter locked.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from homerun.errors import CheckpointError
from homerun.model.json_fields import shorten

MAX_LENGTH = 1000
"""Characters of a pattern."""
_MAX_STATES = 5000
_MAX_REPEATS = 1000
_MAX_DEPTH = 40
_MAX_STEPS = 2_000_000
"""States visited over all names that one pattern is matched with; about a second."""

_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_CLASSES = {"d": frozenset("0123456789"), "w": _WORD, "s": frozenset(" \t\n\r\f\v")}

_Accepts = Callable[[str], bool]
"""Whether a character fits."""
_Build = Callable[[int], int]
"""From the state that follows to the state that a part of the pattern begins in."""


@dataclass(slots=True)
class _State:
    """Reads a character that fits `accepts`, or else is passed through where `assertion` holds."""

    next: list[int] = field(default_factory=list[int])
    accepts: _Accepts | None = None
    assertion: str | None = None


class ModulePattern:
    """A compiled pattern. Module names are ASCII, and so are `\\d`, `\\w` and `\\s`."""

    def __init__(self, pattern: str) -> None:
        """Raises CheckpointError for what is no regular expression, or is one of other syntax."""
        self._pattern = pattern
        self._steps = 0
        self._states = [_State()]  # the one in which a match ends
        if len(pattern) > MAX_LENGTH:
            raise self._error(f"has more than {MAX_LENGTH} characters")
        self._at = 0
        build = self._alternatives(0)
        if self._at < len(pattern):
            raise self._error("has a parenthesis too many")
        self._start = build(0)

    def fullmatch(self, text: str) -> bool:
        """Whether the pattern describes the whole of `text`. Raises CheckpointError if too slow."""
        current = self._reachable({self._start}, text, 0)
        for position, character in enumerate(text):
            following: set[int] = set()
            for state in (self._states[index] for index in current):
                if state.accepts is not None and state.accepts(character):
                    following.update(state.next)
            current = self._reachable(following, text, position + 1)
        return 0 in current

    def _reachable(self, found: set[int], text: str, position: int) -> set[int]:
        """`found` and every state that follows without reading a character."""
        todo = list(found)
        while todo:
            self._steps += 1
            state = self._states[todo.pop()]
            if state.accepts is None and _holds(state.assertion, text, position):
                fresh = [index for index in state.next if index not in found]
                found.update(fresh)
                todo.extend(fresh)
        if self._steps > _MAX_STEPS:
            raise self._error("takes too long to match")
        return found

    # The parser: one method per level of the grammar.

    def _alternatives(self, depth: int) -> _Build:
        if depth > _MAX_DEPTH:
            raise self._error("is nested too deeply")
        branches = [self._sequence(depth)]
        while self._take("|"):
            branches.append(self._sequence(depth))
        if len(branches) == 1:
            return branches[0]
        return lambda after: self._add(_State([branch(after) for branch in branches]))

    def _sequence(self, depth: int) -> _Build:
        parts: list[_Build] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            parts.append(self._repeated(self._atom(depth)))

        def build(after: int) -> int:
            for part in reversed(parts):
                after = part(after)
            return after

        return build

    def _repeated(self, atom: _Build) -> _Build:
        low, high = 1, 1
        if self._take("*"):
            low, high = 0, None
        elif self._take("+"):
            low, high = 1, None
        elif self._take("?"):
            low, high = 0, 1
        elif self._take("{"):
            low, high = self._bounds()
        else:
            return atom
        self._take("?")  # lazy or greedy: the names matched are the same
        if self._at < len(self._pattern) and self._pattern[self._at] in "*+?{":
            raise self._error("repeats a repetition")

        def build(after: int) -> int:
            entry = after
            if high is None:
                entry = self._add(_State([after]))
                self._states[entry].next.append(atom(entry))
            else:
                for _ in range(high - low):
                    entry = self._add(_State([after, atom(entry)]))
            for _ in range(low):
                entry = atom(entry)
            return entry

        return build

    def _bounds(self) -> tuple[int, int | None]:
        """`m}`, `m,}`, `,n}` or `m,n}`."""
        end = self._pattern.find("}", self._at)
        low, comma, high = self._pattern[self._at : end].partition(",")
        numbers = [text for text in (low, high) if text]
        if end < 0 or not numbers or not all(n.isdecimal() and len(n) < 5 for n in numbers):
            raise self._error("has a '{' that counts nothing")
        self._at = end + 1
        least = int(low or 0)
        most = (int(high) if high else None) if comma else least
        if max(least, most or 0) > _MAX_REPEATS or (most is not None and most < least):
            raise self._error(f"repeats something {low},{high} times")
        return least, most

    def _atom(self, depth: int) -> _Build:
        character = self._next()
        if character == "(":
            if self._take("?") and not self._take(":"):
                raise self._error("uses '(?', of which only '(?:' is read here")
            inner = self._alternatives(depth + 1)
            if not self._take(")"):
                raise self._error("lacks a ')'")
            return inner
        if character == "[":
            return self._reads(self._set())
        if character == "\\":
            escaped = self._next()
            if escaped in "bB":
                return self._asserts(escaped)
            return self._reads(self._escaped(escaped).__contains__)
        if character == ".":
            return self._reads(lambda one: one != "\n")
        if character in "^$":
            return self._asserts(character)
        if character in "*+?{":
            raise self._error(f"has a {character!r} that repeats nothing")
        return self._reads(character.__eq__)

    def _set(self) -> _Accepts:
        negated = self._take("^")
        members: set[str] = set()
        first = True
        while first or not self._take("]"):
            first = False
            character = self._next()
            if character == "\\":
                members |= self._escaped(self._next())
                continue
            if self._pattern[self._at : self._at + 1] == "-" and (
                self._pattern[self._at + 1 : self._at + 2] not in ("]", "")
            ):
                self._at += 1
                last = self._next()
                if last == "\\" or last < character or not (last + character).isascii():
                    raise self._error(f"has the range {character}-{last}")
                members |= {chr(code) for code in range(ord(character), ord(last) + 1)}
            else:
                members.add(character)
        return lambda one: (one in members) != negated

    def _escaped(self, character: str) -> frozenset[str]:
        """What a backslash and `character` stand for."""
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _WORD:
            raise self._error(f"uses '\\{character}', which is not read here")
        return frozenset(character)

    def _reads(self, accepts: _Accepts) -> _Build:
        return lambda after: self._add(_State([after], accepts=accepts))

    def _asserts(self, assertion: str) -> _Build:
        return lambda after: self._add(_State([after], assertion=assertion))

    def _take(self, character: str) -> bool:
        if self._pattern[self._at : self._at + 1] != character:
            return False
        self._at += 1
        return True

    def _next(self) -> str:
        if self._at == len(self._pattern):
            raise self._error("ends too early")
        self._at += 1
        return self._pattern[self._at - 1]

    def _add(self, state: _State) -> int:
        if len(self._states) >= _MAX_STATES:
            raise self._error("is too large")
        self._states.append(state)
        return len(self._states) - 1

    def _error(self, what: str) -> CheckpointError:
        return CheckpointError(f"the pattern {shorten(self._pattern)!r} {what}")


def _holds(assertion: str | None, text: str, position: int) -> bool:
    match assertion:
        case None:
            return True
        case "^":
            return position == 0
        case "$":
            return position == len(text)
        case _:
            before, behind = text[position - 1 : position], text[position : position + 1]
            at_edge = (before in _WORD) != (behind in _WORD)
            return at_edge == (assertion == "b")
