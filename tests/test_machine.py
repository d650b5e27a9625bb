"""What a process may use of its machine, as a small made-up system tells it."""

import os
from pathlib import Path

import pytest

from homerun import machine

VISIBLE = 64


def show_cpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    def affinity(_: int) -> set[int]:
        return set(range(count))

    monkeypatch.setattr(os, "sched_getaffinity", affinity, raising=False)


@pytest.fixture(autouse=True)
def a_large_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    show_cpus(monkeypatch, VISIBLE)


def in_groups(root: Path, group: str, quotas: dict[str, str]) -> Path:
    """A system whose process is in `group`; `quotas` are the texts of `cpu.max` by directory."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"9:name=systemd:/x\n0::{group}\n")
    for directory, text in quotas.items():
        path = root / "sys/fs/cgroup" / directory
        path.mkdir(parents=True, exist_ok=True)
        (path / "cpu.max").write_text(text)
    return root


@pytest.mark.parametrize(
    ("quotas", "usable"),
    [
        ({}, VISIBLE),
        ({"": "max 100000\n"}, VISIBLE),
        ({"": "200000 100000\n"}, 2),  # as a container sees its own group
        ({"a/b": "150000 100000\n"}, 2),
        ({"a/b": "1000 100000\n"}, 1),
        ({"a/b": "6500000 100000\n"}, VISIBLE),
        ({"a/b": "800000 100000\n", "a": "300000 100000\n", "": "max 100000\n"}, 3),
        ({"a/b": "0 100000\n"}, 1),
        ({"a/b": "100000 0\n", "a": "words\n", "": ""}, VISIBLE),
    ],
)
def test_a_quota_of_time_limits_the_cpus(
    quotas: dict[str, str], usable: int, tmp_path: Path
) -> None:
    assert machine.usable_cpus(in_groups(tmp_path, "/a/b", quotas)) == usable


def test_no_control_group_limits_nothing(tmp_path: Path) -> None:
    assert machine.usable_cpus(tmp_path) == VISIBLE
    assert list(machine.control_groups(tmp_path)) == []


def test_a_group_outside_the_visible_tree_ends_at_its_top(tmp_path: Path) -> None:
    root = in_groups(tmp_path, "/../other", {"": "400000 100000\n"})
    assert machine.usable_cpus(root) == 4
    top = root / "sys/fs/cgroup"
    assert all(one.is_relative_to(top) for one in machine.control_groups(root))


def test_more_cpus_than_threads_are_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    show_cpus(monkeypatch, 4096)
    assert machine.usable_cpus(tmp_path) == machine.MAX_THREADS
