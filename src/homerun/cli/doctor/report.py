"""What a check found, and the page and the JSON made of it. Knows nothing of what is checked."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from homerun.cli.terminal import safe
from homerun.model.memory import gigabytes

BYTES = "_bytes"
"""Ends the names of facts that are sizes."""
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and what to do about it."""

    what: str
    remedy: str = ""
    """Empty where `what` says it: an error that is told in words."""


@dataclass(frozen=True, slots=True)
class Check:
    """One subject: what is known of it, and what is wrong with it."""

    subject: str
    facts: Mapping[str, object] = field(default_factory=dict[str, object])
    problems: Sequence[Problem] = ()


def as_json(checks: Sequence[Check]) -> dict[str, object]:
    """`{"ok": …, "checks": [{"subject", "facts", "problems": [{"what", "remedy"}]}]}`."""
    return {
        "ok": is_well(checks),
        "checks": [
            {
                "subject": check.subject,
                "facts": dict(check.facts),
                "problems": [
                    {"what": problem.what, "remedy": problem.remedy} for problem in check.problems
                ],
            }
            for check in checks
        ],
    }


def is_well(checks: Sequence[Check]) -> bool:
    return not any(check.problems for check in checks)


def page(checks: Sequence[Check]) -> str:
    """The same for a person: a block per subject, problems marked with `!`."""
    lines: list[str] = []
    names = [_label(name) for check in checks for name in check.facts]
    width = max(map(len, names), default=0)
    for check in checks:
        lines.append(safe(check.subject))
        lines += [
            f"  {_label(name).ljust(width)}  {_shown(name, value)}"
            for name, value in check.facts.items()
        ]
        if not check.facts and not check.problems:
            lines.append("  none")
        for problem in check.problems:
            lines += _wrapped("  ! ", problem.what)
            lines += _wrapped("    -> ", problem.remedy) if problem.remedy else []
    count = sum(len(check.problems) for check in checks)
    lines += ["", "Nothing is wrong." if not count else f"{count} problem{'s' * (count != 1)}, "
              "each marked with an exclamation mark."]  # fmt: skip
    return "\n".join(lines)


def _label(name: str) -> str:
    return name.removesuffix(BYTES).replace("_", " ")


def _shown(name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name.endswith(BYTES) and isinstance(value, int):
        return gigabytes(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"  # pyright: ignore[reportUnknownArgumentType]
    return safe(str(value))


def _wrapped(lead: str, text: str) -> list[str]:
    return textwrap.wrap(
        safe(text), _WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
