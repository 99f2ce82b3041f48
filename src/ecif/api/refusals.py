"""What is answered when a service refuses: one row for each of its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import Request

from ecif.api.existing import fault_view, found_view
from ecif.api.invalid import finding
from ecif.api.merge_views import finding_view, name_view
from ecif.api.problems import Problem, problem_of
from ecif.domain.existence import Existence
from ecif.services.accounts import AccountNotOfCustomer
from ecif.services.answers import IdempotencyConflict
from ecif.services.change_requests import ChangeRequestDecided, ChangeRequestNotFound
from ecif.services.customers import CustomerNotFound
from ecif.services.four_eyes import MakerIsChecker, NotMaker
from ecif.services.judging import JudgementContradicts, OneRecordTwice
from ecif.services.maintenance import (
    ChangeRequestStale,
    ChannelTooWeak,
    CloseBlocked,
    EvidenceMissing,
    PatchUnusable,
    StatusStands,
    VersionConflict,
)
from ecif.services.merges import MergeBlocked, NothingToMerge, SurvivorNotMember
from ecif.services.opening import OpeningIncomplete, OpeningRefused, SourceKeyTaken, VerdictContradicted
from ecif.services.operations import OperationDecided, OperationNotFound
from ecif.services.outcomes import OperationStale
from ecif.services.past import NothingKnown, TooManyRecords
from ecif.services.regrouping import LeadsOthers, NumberRetired, TooManyToMove
from ecif.services.reversals import NotReversible, ReverseBlocked
from ecif.services.review_bulk import BulkChanged, BulkNotFound, BulkNotUndoable, BulkTooLarge, BulkUndone
from ecif.services.review_decisions import (
    DecisionMoves,
    DecisionUnfit,
    ReviewChanged,
    ReviewClaimed,
    ReviewClosed,
    ReviewWaits,
)
from ecif.services.review_queue import ReviewNotFound
from ecif.services.source_records import SourceRecordNotFound
from ecif.services.splits import NothingStays, NotOfCustomer, OnlyByUndo

REFUSALS: dict[type[Exception], tuple[str, int]] = {
    IdempotencyConflict: ("ECIF-1010", 409),
    CustomerNotFound: ("ECIF-2001", 404),
    NothingKnown: ("ECIF-2005", 404),
    TooManyRecords: ("ECIF-2006", 422),
    SourceRecordNotFound: ("ECIF-2002", 404),
    VersionConflict: ("ECIF-2003", 412),
    ChangeRequestNotFound: ("ECIF-2004", 404),
    ChangeRequestDecided: ("ECIF-2011", 409),
    ChangeRequestStale: ("ECIF-2012", 409),
    OpeningIncomplete: ("ECIF-1013", 422),
    EvidenceMissing: ("ECIF-1014", 422),
    PatchUnusable: ("ECIF-1001", 422),
    SourceKeyTaken: ("ECIF-3008", 409),
    VerdictContradicted: ("ECIF-3009", 409),
    CloseBlocked: ("ECIF-4101", 409),
    StatusStands: ("ECIF-4102", 409),
    MakerIsChecker: ("ECIF-5005", 403),
    NotMaker: ("ECIF-5007", 403),
    ChannelTooWeak: ("ECIF-5006", 403),
    OperationNotFound: ("ECIF-2007", 404),
    OperationDecided: ("ECIF-2013", 409),
    OperationStale: ("ECIF-2014", 409),
    NumberRetired: ("ECIF-2015", 409),
    MergeBlocked: ("ECIF-3030", 409),
    NothingToMerge: ("ECIF-3031", 409),
    SurvivorNotMember: ("ECIF-3032", 422),
    NotOfCustomer: ("ECIF-3033", 422),
    AccountNotOfCustomer: ("ECIF-3036", 422),
    NothingStays: ("ECIF-3034", 422),
    OnlyByUndo: ("ECIF-3037", 409),
    TooManyToMove: ("ECIF-3035", 422),
    ReverseBlocked: ("ECIF-3040", 409),
    NotReversible: ("ECIF-3041", 409),
    JudgementContradicts: ("ECIF-3042", 409),
    OneRecordTwice: ("ECIF-1001", 422),
    LeadsOthers: ("ECIF-3043", 409),
    ReviewNotFound: ("ECIF-2008", 404),
    BulkNotFound: ("ECIF-2009", 404),
    ReviewChanged: ("ECIF-3057", 412),
    BulkChanged: ("ECIF-3057", 412),
    ReviewClaimed: ("ECIF-3050", 409),
    ReviewClosed: ("ECIF-3051", 409),
    ReviewWaits: ("ECIF-3052", 409),
    DecisionUnfit: ("ECIF-3053", 422),
    BulkTooLarge: ("ECIF-3054", 422),
    BulkUndone: ("ECIF-3055", 409),
    BulkNotUndoable: ("ECIF-3056", 409),
    DecisionMoves: ("ECIF-3058", 409),
}

EXISTING: dict[Existence, tuple[str, int]] = {
    Existence.EXISTS: ("ECIF-3001", 409),
    Existence.EXISTS_REDIRECTED: ("ECIF-3001", 409),
    Existence.EXISTS_CLOSED: ("ECIF-3002", 409),
    Existence.SAME_ID_DIFFERENT_NAME: ("ECIF-3003", 409),
    Existence.AMBIGUOUS: ("ECIF-3004", 409),
    Existence.SUSPECT: ("ECIF-3005", 409),
    Existence.INVALID_ID: ("ECIF-3006", 422),
    Existence.PLACEHOLDER_ID: ("ECIF-3007", 422),
}
"""Why a customer is not opened, by the result of the existence check."""

BLOCKS = {
    "CC01": ("尚有未销账户", "accounts are open"),
    "CC07": ("尚有未结的疑似合并审核", "merge reviews are open"),
}
"""What keeps a customer from being closed (客户销户检查)."""

SAYS: Mapping[type[Exception], Callable[[Any], dict[str, Any]]] = {
    CustomerNotFound: lambda e: {"detail": str(e)},
    StatusStands: lambda e: {"customer_status": e.status},
    OperationDecided: lambda e: {"decided": e.status},
    OperationStale: lambda e: {"changed": list(e.changed)},
    NumberRetired: lambda e: {"retired": e.no, "customer_no": e.into},
    MergeBlocked: lambda e: {"findings": [finding_view(finding) for finding in e.findings]},
    SurvivorNotMember: lambda e: {"errors": [finding("body.survivor", "not_a_member")]},
    OneRecordTwice: lambda e: {"errors": [finding("body.records", "one_record_twice")]},
    NotOfCustomer: lambda e: {"source_records": [name_view(name) for name in e.records]},
    ReverseBlocked: lambda e: {"later": list(e.later)},
    LeadsOthers: lambda e: {"customers": list(e.nos)},
    ReviewChanged: lambda e: {"current_version": e.version, "state": e.state},
    ReviewClaimed: lambda e: {"claimed_by": e.by, "claimed_at": e.since.isoformat()},
    ReviewClosed: lambda e: {"outcome": e.outcome},
    ReviewWaits: lambda e: {"operation": e.operation},
    DecisionUnfit: lambda e: {"allowed": [d.value for d in e.allowed]},
    BulkNotUndoable: lambda e: {"customers": list(e.customers)},
    DecisionMoves: lambda e: {"customers": list(e.customers)},
}
"""What a problem says beside its code, of those that need one expression."""


def _more(error: Exception) -> dict[str, Any]:
    """What a problem says beside its code."""
    match error:
        case VersionConflict():
            return {"current_version": error.version}
        case OpeningIncomplete():
            return {"errors": [finding(f"body.{field}", "missing_for_channel") for field in error.fields]}
        case PatchUnusable():
            return {"errors": [fault_view(fault) for fault in error.faults]}
        case EvidenceMissing():
            return {"errors": [finding("body.evidence", "missing")]}
        case ChannelTooWeak():
            return {"errors": [finding("body.phones", "weak_channel")]}
        case CloseBlocked():
            return {
                "blocks": [
                    {"rule": rule, "count": n, "message_zh": BLOCKS[rule][0], "message_en": BLOCKS[rule][1]}
                    for rule, n in error.blocks.items()
                ]
            }
    return SAYS[type(error)](error) if type(error) in SAYS else {}


def refusal(error: Exception) -> Problem:
    """What is answered to an error of the table."""
    code, status = REFUSALS[type(error)]
    return Problem.of(code, status, **_more(error))


def _refusal(error: Exception, request: Request) -> Problem:
    return refusal(error)


for _error in REFUSALS:
    problem_of.register(_error, _refusal)


@problem_of.register
def _refused(error: OpeningRefused, request: Request) -> Problem:
    code, status = EXISTING[error.found.result]
    shown = found_view(error.found, error.on)
    errors = shown.pop("errors")
    return Problem.of(code, status, errors=errors, existence=shown)
