"""Half a minute of random submits and aborts from many threads: nothing leaks, nobody is lost."""

import os
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from homerun.engine.loop import Engine
from homerun.engine.sequence import Ended, Event, Failed
from homerun.errors import QueueFull, RequestAborted

from .toy import lane, request

SECONDS = 30.0
PAGE = os.sysconf("SC_PAGE_SIZE")


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_soak() -> None:
    ends: dict[str, Event | None] = {}
    tight = lane(num_blocks=20, max_batch_tokens=16, max_sequences=6)

    def outlet(events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Ended | Failed):
                assert ends[event.request_id] is None, "told twice"
                ends[event.request_id] = event

    engine = Engine([tight], outlet, max_queue=20)
    engine.start()
    until = time.monotonic() + SECONDS

    def client(number: int) -> None:
        chance = random.Random(number)
        mine: list[str] = []
        while time.monotonic() < until:
            one = request(
                [chance.randrange(3) for _ in range(chance.randint(1, 40))],
                max_tokens=chance.randint(1, 40),
                seed=chance.randint(1, 9),
            )
            ends[one.id] = None
            try:
                engine.submit(one)
                mine.append(one.id)
            except QueueFull:
                del ends[one.id]
            if mine and chance.random() < 0.4:
                engine.abort(mine.pop(chance.randrange(len(mine))))
            time.sleep(chance.random() * 0.05)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in clients:
        thread.start()
    time.sleep(SECONDS / 3)
    warm = rss_bytes()
    for thread in clients:
        thread.join()
    while tight.busy:
        assert time.monotonic() < until + 30, "somebody never ends"
        time.sleep(0.01)
    engine.stop()
    grown = rss_bytes() - warm

    answered = [end for end in ends.values() if isinstance(end, Ended)]
    aborted = [end for end in ends.values() if isinstance(end, Failed)]
    assert len(answered) + len(aborted) == len(ends), "somebody was not told"
    assert all(isinstance(end.error, RequestAborted) for end in aborted)
    assert min(len(answered), len(aborted)) > 20
    tight.check_integrity()
    assert tight._pool.free_count == tight._pool.num_blocks
    assert grown < 8 << 20, f"{grown / 1e6:.1f} MB more after {len(ends)} requests"
