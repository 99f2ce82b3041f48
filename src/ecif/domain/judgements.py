"""What a person says of two source records (人工裁决). It beats any score, and only a later word of a person ends it."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """裁决."""

    SAME = "SAME"
    NOT_SAME = "NOT_SAME"
    WITHDRAWN = "WITHDRAWN"
    """What was said before no longer holds; the rules decide again."""
    UNDECIDED = "UNDECIDED"
    """An operation on other customers would have let the rules join the two: they don't by themselves, and a person is asked."""
