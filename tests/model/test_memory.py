"""How much memory is available, as a small made-up system tells it."""

from pathlib import Path

from homerun.model import memory


def fake_system(root: Path, available_kb: int, group: dict[str, str] | None = None) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {available_kb} kB\n")
    (root / "proc/self/cgroup").write_text("0::/a/b\n")
    inner = root / "sys/fs/cgroup/a/b"
    inner.mkdir(parents=True)
    for name, text in (group or {}).items():
        (inner.parent / name).write_text(text)
    return root


def test_available_memory(tmp_path: Path) -> None:
    assert memory.available_memory(fake_system(tmp_path / "1", 1000)) == 1000 * 1024
    group = {"memory.max": "500000\n", "memory.current": "300000\n"}
    group["memory.stat"] = "anon 5\ninactive_file 1000\nactive_file 200\n"
    assert memory.available_memory(fake_system(tmp_path / "2", 1000, group)) == 201200
    group["memory.max"] = "max\n"
    assert memory.available_memory(fake_system(tmp_path / "3", 1000, group)) == 1000 * 1024
    assert memory.available_memory(tmp_path / "4") is None
    memory.check_fits("anything", 1 << 60, root=tmp_path / "4")


def test_memory_that_does_not_suffice() -> None:
    assert memory.shortage(10, 10, 20) is None
    assert memory.shortage(10, 10, None) is None
    weights = memory.shortage(30 * 10**9, 10, 20 * 10**9)
    assert weights is not None
    assert weights[0] == "the weights need 30.00 GB, and only 20.00 GB of memory are available"
    both = memory.shortage(10 * 10**9, 20 * 10**9, 18 * 10**9)
    assert both is not None
    assert "weights and KV cache need 30.00 GB" in both[0]
    assert "--kv-memory 3814M" in both[1]  # half of what the weights leave
