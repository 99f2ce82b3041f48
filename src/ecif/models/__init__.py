"""Tables and nothing else.

Facts: loads, source records, rejects, the number register, and what calls leave behind. The rest is derived from them.
"""

from ecif.models.account import Account, Relation
from ecif.models.base import Base
from ecif.models.calls import Change, ChangeRequest, ClearRead, StoredAnswer
from ecif.models.derivation import Derivation
from ecif.models.document_expiry import DocumentExpiry
from ecif.models.matching import DoubtfulPair, RecordFeatures, RecordKey, SharedValue
from ecif.models.merge_review import MergeReview
from ecif.models.outbox import OutboxEvent
from ecif.models.party import GoldenRecord, Link, Party
from ecif.models.source_record import Load, Reject, SourceRecord, SourceRecordVersion

__all__ = [
    "Account",
    "Base",
    "Change",
    "ChangeRequest",
    "ClearRead",
    "Derivation",
    "DocumentExpiry",
    "DoubtfulPair",
    "GoldenRecord",
    "Link",
    "Load",
    "MergeReview",
    "OutboxEvent",
    "Party",
    "RecordFeatures",
    "RecordKey",
    "Reject",
    "Relation",
    "SharedValue",
    "SourceRecord",
    "SourceRecordVersion",
    "StoredAnswer",
]
