"""What an operation does (归并结果): carried out in one way for all kinds, or tried and taken back for a preview."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from ecif.domain.merge_policy import Finding
from ecif.domain.records import RecordName
from ecif.services import customers
from ecif.services.assignment import Assignment
from ecif.services.context import Context
from ecif.services.customers import Golden
from ecif.services.holdings import HOLDINGS, Held
from ecif.services.operations import Operation
from ecif.services.regrouping import Members, NumberRetired, Said, apply, lock
from ecif.services.rows import send


class OperationStale(Exception):
    """The customers are not what they were when the operation was asked for; ``changed`` says which numbers."""

    def __init__(self, changed: Sequence[str]) -> None:
        super().__init__(*changed)
        self.changed = changed


@dataclass(frozen=True, slots=True)
class Regrouped:
    """What an operation did, or would do.

    Attributes:
        moved: records by name, with the numbers they left and went to.
    """

    survivor: str
    retired: list[str]
    resurrected: list[str]
    created: list[str]
    moved: list[tuple[RecordName, str, str]]

    @property
    def outcome(self) -> dict[str, Any]:
        """As it is stored."""
        moved = [{"system": s, "key": k, "from": left, "to": to} for (s, k), left, to in self.moved]
        return {
            "survivor": self.survivor,
            "retired": self.retired,
            "resurrected": self.resurrected,
            "created": self.created,
            "moved": moved,
        }


@dataclass(frozen=True, slots=True)
class Preview:
    """What would come of an operation, with everything it touches, before and after.

    Attributes:
        holdings: by kind and number, what each would hold, and what those held whose numbers would retire.
    """

    regrouped: Regrouped
    findings: list[Finding]
    before: Mapping[str, Golden] = field(repr=False)
    after: Mapping[str, Golden] = field(repr=False)
    holdings: Mapping[str, Mapping[str, Held]] = field(repr=False)


def carry_out(
    session: Session,
    context: Context,
    members: Members,
    said: Said,
    preferred: Collection[str],
    operation: Operation | None,
    *,
    reason: str = "",
    alone: bool = True,
) -> Regrouped:
    """Carries judgements out, and takes along what does not hang on a source record.

    Args:
        preferred: numbers that stay or live again, before others of the same records; of a merge or split, the survivor.
        alone: nobody else is led anywhere by it, see :func:`ecif.services.regrouping.apply`.
    """
    person = operation.maker if operation else context.person
    assignment = apply(
        session, context, members, said,
        reason=operation.reason if operation else reason, person=person, preferred=preferred,
        operation_id=operation.id if operation else None, alone=alone,
    )  # fmt: skip
    regrouped = _regrouped(assignment, next(iter(preferred), next(iter(members.by_no))))
    for holding in HOLDINGS:
        holding.move(session, context, {name: (left, to) for name, left, to in regrouped.moved})
    return regrouped


def _regrouped(assignment: Assignment, survivor: str) -> Regrouped:
    parties = assignment.parties
    led = {no: to for no, party in parties.items() if (to := party.merged_into) and no not in assignment.members}
    return Regrouped(
        (led | assignment.merged).get(survivor, survivor),
        retired=sorted(no for no in assignment.merged if not parties[no].merged_into),
        resurrected=sorted(assignment.resurrected),
        created=sorted(no for no in assignment.members if parties[no].new),
        moved=[(name_of(name), left, to) for name, left, to in assignment.moved],
    )


def name_of(text: str) -> RecordName:
    """The name of a source record, of its text ``system:key``."""
    system, _, key = text.partition(":")
    return system, key


@contextmanager
def taken_back(session: Session) -> Iterator[None]:
    """Whatever is done inside is as if it had not been."""
    send(session, "SAVEPOINT taken_back")
    yield
    send(session, "ROLLBACK TO SAVEPOINT taken_back")


def previewed(session: Session, members: Members, found: list[Finding], work: Callable[[], Regrouped]) -> Preview:
    """Does the work, looks at what came of it, and takes it back."""
    before = customers.golden_records(session, list(members.by_no))
    left = {holding.kind: holding.held(session, list(members.by_no)) for holding in HOLDINGS}
    with taken_back(session):
        regrouped = work()
        nos = sorted({*members.by_no, *regrouped.resurrected, *regrouped.created} - set(regrouped.retired))
        after = customers.golden_records(session, nos)
        held = {holding.kind: holding.held(session, nos) for holding in HOLDINGS}
    retired = {kind: {no: old[no] for no in regrouped.retired if no in old} for kind, old in left.items()}
    return Preview(regrouped, found, before, after, {kind: retired[kind] | held[kind] for kind in held})


def seen(members: Members) -> dict[str, str]:
    """What the customers hold when an operation on them is asked for."""
    return {no: members.digest(no) for no in members.by_no}


def unchanged(session: Session, then: Mapping[str, str]) -> Members:
    """The customers, locked, if they hold the records that they held when the operation was asked for.

    Raises:
        OperationStale: they do not, or one was merged.
    """
    try:
        members = lock(session, then.keys())
    except NumberRetired as retired:
        raise OperationStale([retired.no]) from retired
    changed = [no for no, digest in then.items() if members.digest(no) != digest]
    if changed:
        raise OperationStale(changed)
    return members
