"""Knows how a checkpoint is asked the held-out questions and scored; refuses to know training.

`python -m training.evaluate` judges the shipped weights and writes training/report.md.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from training import report
from training.adapters import BASE, TARGET, answers_through_peft
from training.answers import Speaker
from training.scores import Scores
from training.skills import ADAPTERS, SKILLS, Item, adapter_items, items
from training.train import OUT

QUESTIONS = 200
SECOND_OPINIONS = 50


def score(questions: list[Item], answers: list[str]) -> Scores:
    """Answers to all questions, scored."""
    scores = Scores()
    for item, said in zip(questions, answers, strict=True):
        scores.add(item, said)
    return scores


def ask(speaker: Speaker, questions: list[Item], adapter: Path | None = None) -> Scores:
    """The engine's greedy answers to all questions, scored."""
    answers = speaker.answer((item.turns for item in questions), adapter=adapter)
    return score(questions, answers)


def ask_adapters(
    folder: Path, adapters: Path, speakers: Mapping[str, Speaker], count: int
) -> dict[str, dict[str, Scores]]:
    """For each adapter, the scores with it and without it; for "with", those of PEFT as well."""
    result: dict[str, dict[str, Scores]] = {}
    for name in ADAPTERS:
        questions = adapter_items(name, count)
        scores = {
            f"with, {how}": ask(one, questions, adapters / name) for how, one in speakers.items()
        }
        scores |= {f"without, {how}": ask(one, questions) for how, one in speakers.items()}
        # transformers needs as long for one answer as the engine for forty.
        some = questions[:SECOND_OPINIONS]
        said = answers_through_peft(folder, adapters / name, [item.turns for item in some])
        result[name] = {**scores, "with, PEFT in float32": score(some, said)}
    return result


def all_questions(count: int) -> list[Item]:
    """`count` held-out questions of each skill."""
    return [item for skill in SKILLS for item in items(skill, count)]


def write_misses(scores: Scores, path: Path) -> None:
    """The answers that were wrong, one a line, for whoever improves the generator."""
    with path.open("w", encoding="utf-8") as target:
        for item, said in scores.misses:
            line = {"kind": item.kind, "turns": item.turns, "right": item.answer, "said": said}
            target.write(json.dumps(line, ensure_ascii=False) + "\n")


def misses_by_kind(scores: Scores) -> dict[str, int]:
    """How many answers of each kind were wrong."""
    counts: dict[str, int] = defaultdict(int)
    for item, _ in scores.misses:
        counts[item.kind] += 1
    return dict(counts)


def evaluate(folder: Path, adapters: Path, log: Path, target: Path, count: int = QUESTIONS) -> None:
    """Asks everything in float16 and int8, prints the tables and writes the report to `target`.

    Without the folder `adapters` the report has no part about them.
    """
    questions = all_questions(count)
    speakers = {"float16": Speaker(folder), "int8": Speaker(folder, "int8")}
    by_dtype = {how: ask(one, questions) for how, one in speakers.items()}
    of_adapters = ask_adapters(folder, adapters, speakers, count) if adapters.is_dir() else {}
    before = target.read_text(encoding="utf-8") if target.exists() else ""
    text = report.render(folder, adapters, log, by_dtype, of_adapters, speakers["float16"], before)
    print(text)
    target.write_text(text + "\n", encoding="utf-8")
    if log.parent.is_dir():
        write_misses(by_dtype["float16"], log.with_name("misses.jsonl"))


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=BASE)
    parser.add_argument("--adapters", type=Path, default=TARGET)
    parser.add_argument("--log", type=Path, default=OUT / "log.jsonl")
    parser.add_argument("--report", type=Path, default=Path("training/report.md"))
    parser.add_argument("--count", type=int, default=QUESTIONS, help="questions of each skill")
    options = parser.parse_args()
    evaluate(options.checkpoint, options.adapters, options.log, options.report, options.count)


if __name__ == "__main__":
    main()
