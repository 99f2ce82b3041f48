"""Carries out together what is asked for at one time (合并提交).

A transaction for one record and one for twenty take the same statements. So while one is under way, whoever comes waits
in line, and the first of the line then takes all of it along. Nobody waits for a batch to fill; alone, a call goes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Given = TypeVar("Given")


@dataclass(slots=True, eq=False)
class _Entry(Generic[Asked, Given]):
    """Somebody in line. Woken without an outcome, he is the one who leads."""

    asked: Asked
    woken: Event = field(default_factory=Event)
    outcome: Given | BaseException | None = None

    def result(self) -> Given:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        assert self.outcome is not None
        return self.outcome


class Together(Generic[Asked, Given]):
    """A line of callers, each in a thread of its own.

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
        self._lock, self._line, self._led = Lock(), list[_Entry[Asked, Given]](), False

    def __call__(self, asked: Asked) -> Given:
        """The result of what is asked for, done alone or with others.

        Raises:
            Exception: what the work raises; it is then done for each alone, so that nobody fails by another's fault,
                unless it fails for all.
        """
        entry = _Entry[Asked, Given](asked)
        with self._lock:
            self._line.append(entry)
            leads, self._led = not self._led, True
        if not leads:
            entry.woken.wait()
        if entry.outcome is None:
            self._lead()
        return entry.result()

    def _lead(self) -> None:
        with self._lock:
            batch, self._line = self._line[: self._most], self._line[self._most :]
        try:
            self._carry_out(batch)
        finally:
            with self._lock:
                if self._line:
                    self._line[0].woken.set()
                else:
                    self._led = False
            for entry in batch:
                entry.woken.set()

    def _carry_out(self, batch: Sequence[_Entry[Asked, Given]]) -> None:
        try:
            for entry, given in zip(batch, self._work([entry.asked for entry in batch]), strict=True):
                entry.outcome = given
        except BaseException as error:
            for entry in batch:
                if len(batch) == 1 or self._of_all(error):
                    entry.outcome = error
                else:
                    self._carry_out([entry])
