"""The words of matching: levels, comparisons, outcomes and decisions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Level(IntEnum):
    """How two values of one field compare. Missing is a level of its own, never a silent zero."""

    MISSING = 0
    DIFFERENT = 1
    NEAR = 2
    """A typing error apart, or a value that too many parties share."""
    PARTIAL = 3
    """Nothing contradicts, but a part is hidden, cut off or in another script."""
    VARIANT = 4
    """The same value in another spelling."""
    EQUAL = 5


class Field(StrEnum):
    """What is compared (比对项)."""

    STATED = "stated"
    """What a person said of the two when he wrote one of them down."""
    IDENTIFIER = "identifier"
    """Numbers whose check digit is right, in a space where one party has one."""
    DOCUMENT = "document"
    """Weak documents: passports, permits, doubtful codes."""
    BROKEN_NUMBER = "broken_number"
    """Numbers that fail their check."""
    MASKED_NUMBER = "masked_number"
    NAME = "name"
    BIRTH = "birth"
    """Date of birth, or of foundation."""
    GENDER = "gender"
    PHONE = "phone"
    ADDRESS = "address"
    EMAIL = "email"
    EMPLOYER = "employer"
    LEGAL_REPRESENTATIVE = "legal_representative"
    KIND = "kind"
    """Head office or branch."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """比对: a field's level and the reason for it, as a stable code."""

    field: Field
    level: Level
    reason: str


class Outcome(StrEnum):
    """判定. There are only three; a score never makes AUTO."""

    AUTO = "AUTO"
    REVIEW = "REVIEW"
    SEPARATE = "SEPARATE"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a pair of records is, by which row of the rule table, on which comparisons."""

    outcome: Outcome
    level: str
    rule: str
    tier: int
    comparisons: tuple[Comparison, ...]
