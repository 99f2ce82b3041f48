"""Carries out together what is asked for at one time (合并提交).

A transaction for one record and one for twenty take the same statements. So while one is under way, whoever comes waits
in line, and the next takes the whole line along. Who comes alone goes at once; behind a batch of several, the next waits a
moment for those who come again as soon as they are answered (what PostgreSQL calls ``commit_delay``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from fastapi.concurrency import run_in_threadpool

Asked = TypeVar("Asked")
Given = TypeVar("Given")

RETURN_MS = 4
"""For how long a batch waits, at most, for those whom the batch before has answered."""


class Together(Generic[Asked, Given]):
    """A line of callers. It lives in the event loop of the server, so that it needs no locks; the work is done in a thread.

    Args:
        work: does what several ask for, in one transaction; the results are in their order.
        most: how many it takes along.
        of_all: tells the errors that are nobody's own. Each alone would fail by them too, after as long a wait.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Asked]], Sequence[Given]],
        most: int,
        of_all: Callable[[BaseException], bool] = lambda _: False,
    ) -> None:
        self._work, self._most, self._of_all = work, most, of_all
        self._line: list[tuple[Asked, asyncio.Future[Given]]] = []
        self._at_work: asyncio.Task[None] | None = None

    async def __call__(self, asked: Asked) -> Given:
        """The result of what is asked for, done alone or with others.

        Raises:
            Exception: what the work raises; it is then done for each alone, so that nobody fails by another's fault,
                unless it fails for all.
        """
        given: asyncio.Future[Given] = asyncio.get_running_loop().create_future()
        self._line.append((asked, given))
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._serve())
        return await given

    async def _serve(self) -> None:
        """Takes batch after batch, until nobody comes."""
        answered = 1
        while self._line or answered > 1:
            await self._return(len(self._line) + answered)
            batch, self._line = self._line[: self._most], self._line[self._most :]
            outcomes = await run_in_threadpool(self._outcomes, [asked for asked, _ in batch]) if batch else []
            for (_, given), outcome in zip(batch, outcomes, strict=True):
                _settle(given, outcome)
            answered = len(batch)
        self._at_work = None

    async def _return(self, expected: int) -> None:
        """Gives several who were just answered the time to come again: else two parts of them take turns for ever."""
        for _ in range(RETURN_MS if expected > len(self._line) + 1 else 0):
            if len(self._line) < expected:
                await asyncio.sleep(0.001)

    def _outcomes(self, asked: Sequence[Asked]) -> list[Given | BaseException]:
        try:
            return list(self._work(asked))
        except BaseException as error:
            if len(asked) == 1 or self._of_all(error):
                return [error] * len(asked)
            return [outcome for one in asked for outcome in self._outcomes([one])]


def _settle(given: asyncio.Future[Given], outcome: Given | BaseException) -> None:
    if given.done():  # nobody waits for it any more
        return
    if isinstance(outcome, BaseException):
        given.set_exception(outcome)
    else:
        given.set_result(outcome)
