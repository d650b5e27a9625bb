"""The way of one request's events from the engine to whoever streams its answer."""

import asyncio
from collections import deque

from homerun.engine.sequence import Event, Produced


class Inbox:
    """Events in order, for one reader. Used from one event loop.

    Tokens that were not taken yet become one event: a reader that is slower than the engine gets
    more at a time, for little more work, instead of falling behind.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, event: Event) -> None:
        """Adds an event at the end."""
        last = self._events[-1] if self._events else None
        if isinstance(event, Produced) and isinstance(last, Produced):
            self._events[-1] = Produced(event.request_id, last.token_ids + event.token_ids)
        else:
            self._events.append(event)
        if self._waiter is not None:
            _wake(self._waiter)

    async def get(self, patience: float | None = None) -> Event | None:
        """The next event; None if there is none within `patience` seconds."""
        if not self._events:
            loop = asyncio.get_running_loop()
            waiter = self._waiter = loop.create_future()
            # For every token, where asyncio.timeout takes three times as long.
            timer = None if patience is None else loop.call_later(patience, _wake, waiter)
            try:
                await waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        return self._events.popleft() if self._events else None


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
