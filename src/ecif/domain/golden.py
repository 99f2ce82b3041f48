"""Makes the golden record (统一视图) of a party from its source records: a pure function, the same for any order of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson

from ecif.domain.company_names import normalize_company_name
from ecif.domain.days import bank_day
from ecif.domain.names import normalize_person_name
from ecif.domain.normal import (
    identity_birth,
    identity_gender,
    normal_identifiers,
    normal_phones,
)
from ecif.domain.phones import normalize_email
from ecif.domain.placeholders import is_placeholder_address, is_placeholder_employer, is_placeholder_name
from ecif.domain.records import AccountStatus, CustomerStatus, PartyRecord, PartyType, RecordStatus
from ecif.domain.survivorship import POLICIES, POLICY_VERSION, Candidate, Origin, Rule, survive, union

Entry = tuple[tuple[str, ...], dict[str, Any], Origin]
Origins = Callable[[str], Origin]
"""The origin of each field of a record."""
Numbers = Collection[tuple[str, str]]
"""Identity numbers with their spaces."""


def golden_record(customer_no: str, records: Sequence[PartyRecord]) -> bytes:
    """The golden record as canonical JSON: equal facts and policy give equal bytes.

    Args:
        records: the party's live source records, at least one, in any order.
    """
    everyone = sorted(records, key=lambda r: (r.system, r.key))
    live = [r for r in everyone if r.status is not RecordStatus.ENDED]
    ordered = live if _relationships(live) else everyone
    said = [(record, _origins(record)) for record in ordered]
    replaced = _replaced(ordered)
    document = {
        "customer_no": customer_no,
        "party_type": (_relationships(ordered) or ordered)[0].party_type.value,
        **_standing(ordered),
        "policy_version": POLICY_VERSION,
        "fields": (fields := _fields(said, replaced)),
        "identifiers": _current_first(
            union(e for record, origins in said for e in _identifiers(record, origins("identifiers"))), replaced
        ),
        "aliases": union(e for record, origins in said for e in _aliases(record, origins, fields.get("name"))),
        "phones": union(e for record, origins in said for e in _phones(record, origins("phones"))),
        "addresses": union(e for record, origins in said for e in _addresses(record, origins("addresses"))),
        "emails": union(e for record, origins in said for e in _emails(record, origins("emails"))),
        "legal_entities": sorted({r.legal_entity for r in ordered if r.legal_entity}),
        "branches": sorted({r.branch for r in ordered if r.branch}),
        "source_records": len(ordered),
    }
    return orjson.dumps(document)


def merged_record(customer_no: str, party_type: str, survivor: str) -> bytes:
    """What takes the place of the golden record of a number that was merged (合并占位)."""
    body = {"customer_no": customer_no, "party_type": party_type, "status": "MERGED", "merged_into": survivor}
    return orjson.dumps(body)


def _relationships(records: Sequence[PartyRecord]) -> list[PartyRecord]:
    """The records that keep a relationship; what was only written onto a known customer keeps none."""
    return [r for r in records if r.opened_on or not r.same_as]


def _origins(record: PartyRecord) -> Origins:
    whole = Origin(record.system, record.key, record.business_time)
    apart = {field: Origin(record.system, record.key, at) for field, at in record.said_at}
    return lambda field: apart.get(field, whole)


def _standing(records: Sequence[PartyRecord]) -> dict[str, str | None]:
    """ACTIVE while any system keeps an open relationship, CLOSED when all have ended, unless somebody decided otherwise.

    A customer who was closed is open again with an open account, with a relationship begun after that day, or with an open one
    that was not known to be his: a merge brings it. One who was reactivated stays so until all relationships have ended since.
    RESTRICTED and DECEASED stand whatever the sources say.
    """
    kept = _relationships(records) or records
    closed_on = bank_day(max(r.business_time for r in kept))
    decisions = _decisions(records)
    decision = decisions[-1] if decisions else None
    if decision is None:
        active = any(r.status is RecordStatus.ACTIVE for r in kept)
    elif decision.customer_status is CustomerStatus.RESTRICTED:
        return {"status": decision.customer_status.value, "closed_on": None}
    elif decision.customer_status is CustomerStatus.DECEASED:
        died = decision.customer_status_on or bank_day(decision.when("customer_status"))
        return {"status": decision.customer_status.value, "closed_on": None, "deceased_on": died.isoformat()}
    elif decision.customer_status is CustomerStatus.CLOSED:
        closed_on = decision.customer_status_on or bank_day(decision.when("customer_status"))
        known = {name for d in decisions for name in ((d.system, d.key), *d.customer_status_over)}
        strange = any(
            r.status is RecordStatus.ACTIVE for r in _relationships(records) if (r.system, r.key) not in known
        )
        active = strange or any(_reopens(r, closed_on) for r in kept if r is not decision)
    else:
        at = decision.when("customer_status")
        active = any(r.status is RecordStatus.ACTIVE or r.business_time <= at for r in kept)
    status = CustomerStatus.ACTIVE if active else CustomerStatus.CLOSED
    return {"status": status.value, "closed_on": None if active else closed_on.isoformat()}


def _decisions(records: Sequence[PartyRecord]) -> list[PartyRecord]:
    """The records with a decision on the customer that no later one took the place of. The last one holds: the strictest, of
    equal ones the newest. A merge brings decisions together that never knew of each other: none of them lifts another.
    """

    def order(record: PartyRecord) -> tuple[datetime, str, str]:
        return record.when("customer_status"), record.system, record.key

    decided = sorted((r for r in records if r.customer_status), key=order)
    standing = [
        r
        for n, r in enumerate(decided)
        if not any((r.system, r.key) in later.customer_status_over for later in decided[n + 1 :])
    ]
    return sorted(standing, key=lambda r: (r.customer_status.strictness, order(r)))  # type: ignore[union-attr]


def _reopens(record: PartyRecord, closed_on: date) -> bool:
    open_account = any(a.status is not AccountStatus.CLOSED for a in record.accounts)
    begun = record.opened_on is not None and record.opened_on > closed_on
    return record.status is RecordStatus.ACTIVE and (open_account or begun)


def _fields(said: Sequence[tuple[PartyRecord, Origins]], replaced: Numbers) -> dict[str, Any]:
    candidates: dict[str, list[Candidate]] = {field: [] for field in POLICIES}
    for record, origins in said:
        for field, value, quality in _values(record, replaced):
            inside = POLICIES[field].rule is Rule.DERIVED and quality == 0
            origin, began = origins("identifiers" if inside else field), record.opened_on or date.max
            candidates[field].append(Candidate(value, origin, quality, began))
    survived = ((field, survive(field, found)) for field, found in candidates.items())
    return {field: winner for field, winner in survived if winner}


def _values(record: PartyRecord, replaced: Numbers) -> Iterator[tuple[str, Any, int]]:
    """The record's usable values of the single-valued fields, each with its quality (0 is best)."""
    if record.name and not is_placeholder_name(record.name):
        yield "name", *shown_name(record)
    if record.latin_name and not is_placeholder_name(record.latin_name):
        yield "latin_name", record.latin_name, 0
    yield from _derived(record, replaced)
    if record.employer and not is_placeholder_employer(record.employer):
        yield "employer", record.employer, 0
    for field in ("nationality", "occupation", "education", "marital_status"):
        value = getattr(record, field)
        if value:
            yield field, value, 0
    if record.postcode and set(record.postcode) != {"0"}:
        yield "postcode", record.postcode, 0
    if record.opened_on:
        yield "opened_on", record.opened_on.isoformat(), 0
        if record.branch:
            yield "open_branch", record.branch, 0


def shown_name(record: PartyRecord) -> tuple[str, int]:
    """The name in normal form, and whether a part of it is hidden (1) or its holder is not one person (2)."""
    if record.party_type is PartyType.ORGANIZATION:
        company = normalize_company_name(record.name)
        return (company.text, 0) if company else (record.name, 2)
    person = normalize_person_name(record.name)
    if person is None or person.several:
        return record.name, 2
    return person.text, 1 if person.wildcards else 0


def _derived(record: PartyRecord, replaced: Numbers) -> Iterator[tuple[str, Any, int]]:
    numbers = (n for _, n in normal_identifiers(record) if n.is_strong)
    strong = tuple(n.number for n in numbers if (n.space.value, n.number) not in replaced)
    person = record.party_type is PartyType.PERSON
    born = identity_birth(record, strong if person else ())
    if born:
        yield "birth_date", born.isoformat(), 0 if person and strong else 1
    gender = identity_gender(record, strong) if person else None
    if gender:
        yield "gender", gender.value, 0 if strong else 1


def _identifiers(record: PartyRecord, origin: Origin) -> Iterator[Entry]:
    for given, normal in normal_identifiers(record):
        if normal.space is None or normal.validity in ("PLACEHOLDER", "MISSING"):
            continue
        value = {
            "kind": given.kind.value if given.kind else None,
            "space": normal.space.value,
            "number": normal.number,
            "validity": normal.validity.value,
            "valid_to": given.valid_to.isoformat() if given.valid_to else None,
            "replaced": False,
        }
        yield (normal.space.value, normal.number), value, origin


def _replaced(records: Sequence[PartyRecord]) -> Numbers:
    """The numbers whose place others have taken. What says of no number that it was replaced decides nothing: a file that
    repeats an old number does not make it the current one."""
    changes = [r for r in records if any(given.replaced for given in r.identifiers)]
    newest: dict[tuple[str, str], bool] = {}
    for record in sorted(changes, key=lambda r: (r.when("identifiers"), r.system, r.key)):
        newest.update(((n.space.value, n.number), given.replaced) for given, n in normal_identifiers(record))
    return {number for number, replaced in newest.items() if replaced}


def _current_first(identifiers: list[dict[str, Any]], replaced: Numbers) -> list[dict[str, Any]]:
    """Marks replaced numbers and puts them last."""
    for entry in identifiers:
        entry["replaced"] = (entry["space"], entry["number"]) in replaced
    return sorted(identifiers, key=lambda entry: entry["replaced"])


def _aliases(record: PartyRecord, origins: Origins, shown: Mapping[str, Any] | None) -> Iterator[Entry]:
    former = (("FORMER", name) for name in record.former_names if not shown or name != shown["value"])
    for kind, name in (("NAME", record.name), ("LATIN", record.latin_name), *former):
        if name and not is_placeholder_name(name):
            yield (kind, name), {"kind": kind, "name": name}, origins("latin_name" if kind == "LATIN" else "name")


def _phones(record: PartyRecord, origin: Origin) -> Iterator[Entry]:
    for given, normal in normal_phones(record):
        value = {"kind": given.kind.value, "number": normal.number, "virtual": normal.virtual}
        yield (given.kind.value, normal.number), value, origin


def _addresses(record: PartyRecord, origin: Origin) -> Iterator[Entry]:
    for address in record.addresses:
        if address.text and not is_placeholder_address(address.text):
            yield (address.kind.value, address.text), {"kind": address.kind.value, "text": address.text}, origin


def _emails(record: PartyRecord, origin: Origin) -> Iterator[Entry]:
    for email in filter(None, map(normalize_email, record.emails)):
        yield (email,), {"address": email}, origin
