"""Tables and nothing else. Facts: loads, source records, rejects, the number register. The rest is derived from them."""

from ecif.models.account import Account, Relation
from ecif.models.base import Base
from ecif.models.derivation import Derivation
from ecif.models.matching import DoubtfulPair, RecordFeatures, RecordKey, SharedValue
from ecif.models.merge_review import MergeReview
from ecif.models.outbox import OutboxEvent
from ecif.models.party import GoldenRecord, Link, Party
from ecif.models.source_record import Load, Reject, SourceRecord, SourceRecordVersion

__all__ = [
    "Account",
    "Base",
    "Derivation",
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
]
