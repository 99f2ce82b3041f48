"""Opens customers (开立客户): the existence check again, under claims, and the channel's own source record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

import orjson
from sqlalchemy.orm import Session

from ecif.domain.completeness import REQUIRED, Element, Profile, lacks
from ecif.domain.days import bank_day
from ecif.domain.existence import Existence, Mode, number_faults
from ecif.domain.golden import golden_record
from ecif.domain.identifiers import Validity
from ecif.domain.normal import normal_identifiers
from ecif.domain.records import PartyRecord, PartyType, RelationType
from ecif.matching.features import features_of
from ecif.matching.keys import match_keys
from ecif.services.candidates import claim
from ecif.services.changes import log_change
from ecif.services.context import Context
from ecif.services.existence import Found, Seen, check, stopped
from ecif.services.ingest import Delivery, ingest

ADULT_ENOUGH = 16
"""Below this age a guardian opens (监护人代理开户)."""


class OpeningIncomplete(Exception):
    """Elements that the channel has to state are missing."""

    def __init__(self, fields: list[str]) -> None:
        super().__init__(*fields)
        self.fields = fields


class OpeningRefused(Exception):
    """The existence check found something that forbids a new number; ``found`` says what was found ``on`` the day."""

    def __init__(self, found: Found, on: date) -> None:
        super().__init__(found.result.value)
        self.found, self.on = found, on


class SourceKeyTaken(Exception):
    """The channel's key stands for another customer already."""


class VerdictContradicted(Exception):
    """The customer who was confirmed to be the same holds another valid number: two people, or a number to be changed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The number, and what the check had found. ``created`` is False where the customer was there before."""

    customer_no: str
    version: int
    created: bool
    found: Found


def open_customer(
    session: Session,
    context: Context,
    record: PartyRecord,
    *,
    profile: Profile,
    verdicts: Mapping[str, bool],
    return_existing: bool,
    reason: str = "",
) -> Opened:
    """Opens a customer, in the caller's transaction, unless there is one.

    Args:
        record: the channel's source record of the new customer.
        verdicts: what a clerk has said of suspects: customer number → whether it is the same party.
        return_existing: answer with the number that exists, instead of refusing.

    Raises:
        OpeningIncomplete: the profile's elements are missing.
        OpeningRefused: the customer exists, may exist, or the number cannot be right.
        SourceKeyTaken, VerdictContradicted: what was said cannot be.
    """
    missing = _missing(record, profile)
    if missing and not stopped(tuple(number_faults(record))):  # else the check says of its number what is wrong
        raise OpeningIncomplete(missing)
    features = features_of(record)
    claimed = {context.digests.of(key) for key in match_keys(features)}
    claim(session, claimed)
    found = check(session, context, record, Mode.STRICT)
    if found.customer and return_existing:
        return Opened(found.customer.customer_no, found.customer.version, False, found)
    if found.taken:
        raise SourceKeyTaken
    record, same = _judged(record, found, verdicts)
    if not (features.strong or features.documents):
        raise OpeningIncomplete([Element.IDENTIFIER.value])
    context = log_change(session, context, "OPEN_CUSTOMER", reason=reason)
    taken = ingest(session, context, [Delivery(record)], claimed)
    place = taken.places[record.system, record.key]
    if same and place.customer_no != same:
        raise VerdictContradicted
    return Opened(place.customer_no, place.version, taken.before[place.customer_no] == 0, found)


def _missing(record: PartyRecord, profile: Profile) -> list[str]:
    document = orjson.loads(golden_record("", [record]))
    missing = [element.value for element in lacks(document, REQUIRED[profile][record.party_type])]
    if not _represented(record, profile, document["fields"].get("birth_date")):
        missing.append("related")
    return missing


def _represented(record: PartyRecord, profile: Profile, born: Mapping[str, str] | None) -> bool:
    """An organisation has its legal representative, a child its guardian, whatever else the channel may leave out."""
    relations = {related.relation for related in record.related}
    if record.party_type is PartyType.ORGANIZATION:
        return profile is not Profile.COUNTER or RelationType.LEGAL_REPRESENTATIVE in relations
    of_age = born is None or _age(date.fromisoformat(born["value"]), bank_day(record.business_time)) >= ADULT_ENOUGH
    return of_age or RelationType.GUARDIAN in relations


def _age(born: date, on: date) -> int:
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def _judged(record: PartyRecord, found: Found, verdicts: Mapping[str, bool]) -> tuple[PartyRecord, str]:
    """The record with what the clerk said of the suspects, and the one whom he said it is.

    Raises:
        OpeningRefused: something else than suspects was found, or one of them has no verdict.
        VerdictContradicted: a customer with another number was said to be the same.
    """
    if found.result is Existence.NOT_FOUND:
        return record, ""
    suspects = {seen.customer_no: seen for seen in found.candidates}
    same = [no for no in suspects if verdicts.get(no)]
    if found.result is not Existence.SUSPECT or found.more or suspects.keys() - verdicts.keys() or len(same) > 1:
        raise OpeningRefused(found, bank_day(record.business_time))
    if any(_holds_another_number(suspects[no], record) for no in same):
        raise VerdictContradicted
    others = tuple(name for no, seen in suspects.items() if no not in same for name in seen.records)
    return replace(record, same_as=suspects[same[0]].records if same else (), not_same_as=others), "".join(same)


def _holds_another_number(seen: Seen, record: PartyRecord) -> bool:
    """Whether a customer's valid number differs from the record's, in a space where a party has one."""
    ours = {n.space.value: n.number for _, n in normal_identifiers(record) if n.is_strong}
    valid = (e for e in seen.document["identifiers"] if e["validity"] == Validity.VALID and not e.get("replaced"))
    return any(ours.get(e["space"], e["number"]) != e["number"] for e in valid)
