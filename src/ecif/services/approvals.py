"""The second person (复核): an operation that was asked for is approved or turned down, or taken back by whoever asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sqlalchemy.orm import Session

from ecif.services import operations
from ecif.services.changes import log_change
from ecif.services.context import Context
from ecif.services.judging import approved_judgement
from ecif.services.merges import approved_merge
from ecif.services.operations import Kind, Operation, Status
from ecif.services.outcomes import Regrouped
from ecif.services.reversals import approved_reverse
from ecif.services.reviews import reopen
from ecif.services.splits import approved_split

_CARRY_OUT: Mapping[Kind, Callable[[Session, Context, Operation], Regrouped]] = {
    Kind.MERGE: approved_merge,
    Kind.SPLIT: approved_split,
    Kind.REVERSE: approved_reverse,
    Kind.JUDGEMENT: approved_judgement,
}


def approve(session: Session, context: Context, operation_id: int, *, note: str = "") -> Operation:
    """Carries an operation out, as another person than its maker.

    Raises:
        OperationNotFound, OperationDecided, MakerIsChecker: it can't be decided so.
        OperationStale, NumberRetired, MergeBlocked, ReverseBlocked: it can't be carried out any more.
    """
    operation = operations.take(session, context, operation_id)
    context = log_change(
        session, context, f"{operation.kind}_CUSTOMERS", reason=operation.reason, evidence=operation.evidence
    )
    context = replace(context, operation=(operation.kind.value, operation.id), remark=note)
    regrouped = _CARRY_OUT[operation.kind](session, context, operation)
    return operations.decide(session, context, operation, Status.DONE, note, regrouped.outcome)


def reject(session: Session, context: Context, operation_id: int, *, note: str = "") -> Operation:
    """Turns an operation down; nothing changes.

    Raises:
        OperationNotFound, OperationDecided, MakerIsChecker: it can't be decided so.
    """
    operation = operations.take(session, context, operation_id)
    reopen(session, context, operation_id, note)
    return operations.decide(session, context, operation, Status.REJECTED, note)


def withdraw(session: Session, context: Context, operation_id: int, *, note: str = "") -> Operation:
    """Takes an operation back that one has asked for; nothing changes.

    Raises:
        OperationNotFound, OperationDecided, NotMaker: it can't be taken back so.
    """
    operation = operations.take(session, context, operation_id, by_maker=True)
    reopen(session, context, operation_id, note, "WITHDRAWN")
    return operations.decide(session, context, operation, Status.WITHDRAWN, note)
