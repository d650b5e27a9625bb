"""Knows how answers are counted; refuses to know who gave them."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.skills import Item


@dataclass
class Scores:
    """Right and asked of each measure, and the answers that were not wholly right."""

    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    misses: list[tuple[Item, str]] = field(default_factory=list)

    def add(self, item: Item, said: str) -> None:
        """Scores one answer."""
        result = item.score(said)
        for measure, (right, of) in result.items():
            before = self.counts.get(measure, (0, 0))
            self.counts[measure] = (before[0] + right, before[1] + of)
        if any(right < of for right, of in result.values()):
            self.misses.append((item, said))

    def share(self, measure: str) -> float:
        """The share that is right, 0 to 1."""
        right, of = self.counts[measure]
        return right / max(1, of)
