"""Calls that share a transaction: nobody fails by another's fault, and nobody waits while all fail one by one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

import pytest

from ecif.api import together
from ecif.api.together import Together
from ecif.db import GivenUp, is_busy


def crowd(work: Callable[[Sequence[int]], list[int]], started: threading.Event, go: threading.Event) -> list[object]:
    """One goes first, and nine others come while he is served."""

    async def all_of_them() -> list[object]:
        line = Together[int, int](work, 64, is_busy)
        first = asyncio.create_task(line(0))
        assert await asyncio.to_thread(started.wait, 5)
        others = [asyncio.create_task(line(n)) for n in range(1, 10)]
        while len(line._line) < len(others):
            await asyncio.sleep(0)
        go.set()
        return list(await asyncio.gather(first, *others, return_exceptions=True))

    return asyncio.run(all_of_them())


@pytest.mark.parametrize(("fault", "calls"), [(ValueError("3"), 1 + 1 + 9), (GivenUp("busy"), 1 + 1)])
def test_a_fault_of_one_is_his_and_one_of_the_database_is_everybodys(fault: Exception, calls: int) -> None:
    started, go, done = threading.Event(), threading.Event(), list[Sequence[int]]()

    def work(asked: Sequence[int]) -> list[int]:
        done.append(asked)
        started.set()
        assert go.wait(5)
        if 3 in asked:
            raise fault
        return [n * 2 for n in asked]

    given = crowd(work, started, go)
    assert len(done) == calls
    alone = isinstance(fault, ValueError)
    assert given == [0 if n == 0 else fault if n == 3 or not alone else n * 2 for n in range(10)]


def test_everybody_is_served_once_one_batch_at_a_time() -> None:
    served, running = list[int](), threading.Lock()

    def work(asked: Sequence[int]) -> list[int]:
        assert running.acquire(blocking=False), "one batch at a time"
        served.extend(asked)
        running.release()
        return [n * 2 for n in asked]

    async def many() -> list[int]:
        line = Together[int, int](work, 5)
        return await asyncio.gather(*map(line, range(1000)))

    assert asyncio.run(many()) == [n * 2 for n in range(1000)]
    assert sorted(served) == list(range(1000))


def test_those_who_come_again_as_soon_as_they_are_answered_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two parts of them take turns, and each waits for both."""
    monkeypatch.setattr(together, "RETURN_MS", 1000)
    sizes = list[int]()

    def work(asked: Sequence[int]) -> list[int]:
        sizes.append(len(asked))
        return list(asked)

    async def caller(line: Together[int, int], n: int) -> None:
        for _ in range(5):
            await line(n)
            await asyncio.sleep(0.001 * n)

    async def many() -> None:
        line = Together[int, int](work, 64)
        await asyncio.gather(*(caller(line, n) for n in range(8)))

    asyncio.run(many())
    assert sizes[:4] == [8, 8, 8, 8]


def test_who_has_gone_keeps_nobody_waiting() -> None:
    go = threading.Event()

    def work(asked: Sequence[int]) -> list[int]:
        assert go.wait(5)
        return list(asked)

    async def two() -> int:
        line = Together[int, int](work, 64)
        gone, stays = (asyncio.create_task(line(n)) for n in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        go.set()
        return await stays

    assert asyncio.run(two()) == 2
