"""Calls that share a transaction: nobody fails by another's fault, and nobody waits while all fail one by one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from ecif.api.together import Together
from ecif.db import GivenUp, is_busy


def crowd(together: Together[int, int], started: threading.Event, go: threading.Event, size: int) -> list[object]:
    """One leads, and all others come while it works."""
    with ThreadPoolExecutor(size) as pool:
        first = pool.submit(together, 0)
        assert started.wait(5)
        others = [pool.submit(together, n) for n in range(1, size)]
        while len(together._line) < size - 1:
            pass
        go.set()
        return [done.exception(10) or done.result() for done in (first, *others)]


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

    given = crowd(Together(work, 64, is_busy), started, go, 10)
    assert len(done) == calls
    alone = isinstance(fault, ValueError)
    assert given == [0 if n == 0 else fault if n == 3 or not alone else n * 2 for n in range(10)]


def test_everybody_is_served_once() -> None:
    served, running = list[int](), threading.Lock()

    def work(asked: Sequence[int]) -> list[int]:
        assert running.acquire(blocking=False), "one batch at a time"
        served.extend(asked)
        threading.Event().wait(0.001)
        running.release()
        return [n * 2 for n in asked]

    together = Together[int, int](work, 5)
    with ThreadPoolExecutor(24) as pool:
        assert list(pool.map(together, range(1000))) == [n * 2 for n in range(1000)]
    assert sorted(served) == list(range(1000))
