"""Tables and nothing else.

Facts: loads, source records, rejects, judgements and operations, the number register, and what calls leave behind. The
rest is derived from them.
"""

from ecif.models.account import Account, Relation
from ecif.models.base import Base
from ecif.models.calls import Change, ChangeRequest, CheckAnswer, ClearRead, StoredAnswer
from ecif.models.derivation import Derivation
from ecif.models.document_expiry import DocumentExpiry
from ecif.models.judgement import AccountMove, Judgement, Operation, OperationCustomer, OperationRecord
from ecif.models.matching import DoubtfulPair, RecordFeatures, RecordKey, SharedValue
from ecif.models.merge_review import BulkDecision, MergeReview, ReviewEntry
from ecif.models.outbox import OutboxEvent
from ecif.models.party import GoldenRecord, Link, Party
from ecif.models.source_record import Load, Reject, SourceRecord, SourceRecordVersion

__all__ = [
    "Account",
    "AccountMove",
    "Base",
    "BulkDecision",
    "Change",
    "ChangeRequest",
    "CheckAnswer",
    "ClearRead",
    "Derivation",
    "DocumentExpiry",
    "DoubtfulPair",
    "GoldenRecord",
    "Judgement",
    "Link",
    "Load",
    "MergeReview",
    "Operation",
    "OperationCustomer",
    "OperationRecord",
    "OutboxEvent",
    "Party",
    "RecordFeatures",
    "RecordKey",
    "Reject",
    "Relation",
    "ReviewEntry",
    "SharedValue",
    "SourceRecord",
    "SourceRecordVersion",
    "StoredAnswer",
]
