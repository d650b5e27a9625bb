"""The inbox of a generation: order, merging, patience."""

import asyncio

import pytest

from homerun.engine.sequence import Ended, Event, Produced, Started
from homerun.service.inbox import Inbox
from homerun.types import FinishReason, Usage

ENDED = Ended("r", FinishReason.STOP, Usage(1, 3))


def test_tokens_that_wait_become_one_event() -> None:
    inbox = Inbox()
    for event in (Started("r", 0.1), Produced("r", (1,)), Produced("r", (2, 3)), ENDED):
        inbox.put(event)

    async def taken() -> list[Event | None]:
        return [await inbox.get() for _ in range(3)]

    assert asyncio.run(taken()) == [Started("r", 0.1), Produced("r", (1, 2, 3)), ENDED]


def test_a_reader_that_keeps_up_gets_every_event_by_itself() -> None:
    async def read() -> list[Event | None]:
        inbox, got = Inbox(), list[Event | None]()

        async def reader() -> None:
            while ENDED not in got:
                got.append(await inbox.get(5.0))

        task = asyncio.create_task(reader())
        for event in (Produced("r", (1,)), Produced("r", (2,)), ENDED):
            inbox.put(event)
            await asyncio.sleep(0.001)
        await task
        return got

    assert asyncio.run(read()) == [Produced("r", (1,)), Produced("r", (2,)), ENDED]


def test_patience_ends_and_the_next_event_still_comes() -> None:
    async def read() -> None:
        inbox = Inbox()
        assert await inbox.get(0.01) is None
        inbox.put(ENDED)
        assert await inbox.get(0.01) == ENDED

    asyncio.run(read())


def test_a_cancelled_reader_loses_nothing() -> None:
    async def read() -> None:
        inbox = Inbox()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(inbox.get(), 0.01)
        inbox.put(ENDED)
        assert await inbox.get() == ENDED

    asyncio.run(read())
