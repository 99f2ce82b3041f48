"""Days of the bank: in its own time zone, in which a morning in China is not yesterday."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

TICK = timedelta(microseconds=1)
"""The least by which one moment is later than another."""
CHINA = timezone(timedelta(hours=8))
"""China Standard Time (北京时间), which knows no summer time."""


def bank_day(moment: datetime) -> date:
    """The day on which something happened, where the bank is."""
    return moment.astimezone(CHINA).date()
