"""Readers who wait for events (长轮询): none holds a thread or a connection, and one look at the database serves them all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from fastapi.concurrency import run_in_threadpool

WAITING_MAX = 200
"""Readers that may wait at once."""
TICK_S = 0.25
"""How old what waiting readers know may be, and how soon they notice that they need not wait on."""


class TooManyWait(Exception):
    """So many readers wait that one more has to come again."""


class News:
    """How far the outbox has got.

    Attributes:
        stopping: set when the server stops, so that nobody who waits holds it up.
    """

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self._looking: asyncio.Task[int] | None = None
        self._looked_at = 0.0
        self._waiting = 0
        self.stopping = False

    async def beyond(self, position: int, deadline: float, gone: Callable[[], Awaitable[bool]]) -> bool:
        """Waits until there is an event beyond a position; False where it is not worth waiting any longer.

        Args:
            deadline: by the monotonic clock.
            gone: whether the reader has left.

        Raises:
            TooManyWait: there is no room to wait.
        """
        if monotonic() >= deadline:
            return False
        if self._waiting >= WAITING_MAX:
            raise TooManyWait
        self._waiting += 1
        try:
            while (left := deadline - monotonic()) > 0 and not self.stopping and not await gone():
                await asyncio.sleep(min(TICK_S, left))
                if await self._newest() > position:
                    return True
            return False
        finally:
            self._waiting -= 1

    async def _newest(self) -> int:
        if self._looking is None or (self._looking.done() and monotonic() - self._looked_at > TICK_S / 2):
            self._looking = asyncio.create_task(self._ask())
        return await asyncio.shield(self._looking)  # who leaves takes it from nobody else

    async def _ask(self) -> int:
        found = await run_in_threadpool(self._look)
        self._looked_at = monotonic()
        return found
