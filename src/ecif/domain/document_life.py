"""The life of an identity document (证件有效期): how far it is on a day, as a table, and which of a customer's are dated.

A bank has to ask for a renewal and, after a reasonable time, to suspend what is done without seeing the customer
(《金融机构客户尽职调查和客户身份资料及交易记录保存管理办法》).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from enum import IntEnum
from typing import Any

from ecif.domain.identifiers import USABLE
from ecif.domain.records import CustomerStatus


class DocumentStage(IntEnum):
    """证件有效期阶段. The numbers are stored: never change one."""

    VALID = 0
    EXPIRING = 1
    EXPIRED = 2
    RESTRICT_NONCOUNTER = 3


STARTS: Mapping[DocumentStage, timedelta] = {
    DocumentStage.EXPIRING: timedelta(days=-30),
    DocumentStage.EXPIRED: timedelta(days=1),
    DocumentStage.RESTRICT_NONCOUNTER: timedelta(days=91),
}
"""When each stage begins, counted from the document's last day: a month's notice, and 90 days of grace after it."""

Dated = Mapping[str, date]
"""Number space → the last day of the document that is valid longest there; shorter ones have been replaced."""


def stage(valid_to: date, on: date) -> DocumentStage:
    """The stage on a day of a document whose last day is ``valid_to``."""
    begun = (name for name, start in STARTS.items() if on - valid_to >= start)
    return max(begun, default=DocumentStage.VALID)


def dated(golden: Mapping[str, Any]) -> Dated:
    """The dated documents of a golden record; those of a merged number or of a customer who is not active do not matter."""
    found: dict[str, date] = {}
    if golden["status"] != CustomerStatus.ACTIVE:
        return found
    for entry in golden["identifiers"]:
        if entry["valid_to"] and entry["validity"] in USABLE and not entry.get("replaced"):
            valid_to = date.fromisoformat(entry["valid_to"])
            found[entry["space"]] = max(valid_to, found.get(entry["space"], valid_to))
    return found
