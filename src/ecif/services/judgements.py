"""What stewards say of two source records (人工裁决): facts like the records themselves, never changed, never deleted.

The newest word on a pair stands, until a later one. Whoever writes one holds the customers of both records locked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from sqlalchemy.orm import Session

from ecif.domain.judgements import Verdict
from ecif.domain.records import RecordName
from ecif.matching.clustering import JUDGED_TIER, Roots, roots_of
from ecif.matching.features import Features, identity
from ecif.models import Judgement
from ecif.services.context import Context
from ecif.services.rows import insert_rows, query

Pair = tuple[int, int]
"""Two records, the lower one first."""


@dataclass(frozen=True, slots=True)
class Word:
    """The last word on a pair; whoever says the same again says it later, under another ``id``.

    Attributes:
        basis: digests of whom the two records told then.
    """

    id: int
    verdict: Verdict
    basis: tuple[bytes, bytes] = field(repr=False)


_LATER = "SELECT FROM judgement n WHERE n.record_lo = {0}.record_lo AND n.record_hi = {0}.record_hi AND n.id > {0}.id"
NEWEST = f"NOT EXISTS ({_LATER.format('j')})"
"""That a judgement ``j`` is the last word on its pair."""

_WORDS = " UNION ".join(
    "SELECT record_lo, record_hi, id, verdict, basis_lo, basis_hi FROM judgement j"
    f" WHERE {end} = ANY(%(ids)b::bigint[]) AND {NEWEST}"
    for end in ("record_lo", "record_hi")
)
_TIED = (
    "WITH RECURSIVE tied(id) AS (SELECT unnest(%(ids)b::bigint[]) UNION"
    " SELECT CASE WHEN j.record_lo = tied.id THEN j.record_hi ELSE j.record_lo END FROM tied"
    f" JOIN judgement j ON tied.id IN (j.record_lo, j.record_hi) AND j.verdict = 'SAME' AND {NEWEST})"
    f" SELECT record_lo, record_hi FROM tied JOIN judgement j ON j.record_lo = tied.id WHERE verdict = 'SAME' AND {NEWEST}"
)
_TOLD_WITH = (
    "SELECT j.record_lo, j.record_hi FROM judgement t JOIN judgement j ON j.change_id = t.change_id"
    " WHERE t.record_lo = %(lo)b AND t.record_hi = %(hi)b AND t.verdict = 'NOT_SAME' AND j.verdict = 'NOT_SAME'"
    f" AND j.record_lo = ANY(%(ids)b::bigint[]) AND j.record_hi = ANY(%(ids)b::bigint[]) AND {NEWEST}"
    f" AND NOT EXISTS ({_LATER.format('t')})"
)
_HISTORY = (
    "SELECT j.id, a.system AS system_lo, a.key AS key_lo, b.system AS system_hi, b.key AS key_hi, j.verdict, j.reason, j.person,"
    f" j.operation_id, j.made_at, {NEWEST} AS standing FROM source_record r JOIN LATERAL"
    " (SELECT * FROM judgement WHERE record_lo = r.id UNION SELECT * FROM judgement WHERE record_hi = r.id) j ON true"
    " JOIN source_record a ON a.id = j.record_lo JOIN source_record b ON b.id = j.record_hi"
    " WHERE r.system = %(system)b AND r.key = %(key)b AND j.id < %(before)b ORDER BY j.id DESC LIMIT %(limit)b"
)
_COLUMNS = (
    "record_lo",
    "record_hi",
    "verdict",
    "basis_lo",
    "basis_hi",
    "reason",
    "person",
    "operation_id",
    "change_id",
    "made_at",
)


def pair(a: int, b: int) -> Pair:
    """Two records in the order in which judgements name them."""
    return (a, b) if a < b else (b, a)


def basis(features: Features) -> bytes:
    """A digest of whom a record tells of: what was judged of it was judged of this."""
    return blake2b(repr(identity(features)).encode(), digest_size=8).digest()


def ties_of(judged: Mapping[Pair, str]) -> Roots:
    """The groups of records that judgements tie, by each of their records."""
    edges = [(JUDGED_TIER, lo, hi) for (lo, hi), verdict in judged.items() if verdict == Verdict.SAME]
    return roots_of({r for _, lo, hi in edges for r in (lo, hi)}, edges)


def settled(judged: Mapping[Pair, str]) -> Callable[[int, int], bool]:
    """Tells of two records whether people have settled it: by what was judged of them, or of others tied to them."""
    roots = ties_of(judged)
    apart = [p for p, verdict in judged.items() if verdict == Verdict.NOT_SAME]
    sides = {frozenset((roots.get(lo, lo), roots.get(hi, hi))) for lo, hi in apart}

    def found(lo: int, hi: int) -> bool:
        a, b = roots.get(lo, lo), roots.get(hi, hi)
        return a == b or frozenset((a, b)) in sides

    return found if judged else lambda lo, hi: False


def contradicts(judged: Mapping[Pair, str]) -> bool:
    """Whether of two records that judgements tie, by way of others or not, another says that they are not the same."""
    roots = ties_of(judged)
    apart = (p for p, verdict in judged.items() if verdict == Verdict.NOT_SAME)
    return any(lo in roots and roots[lo] == roots.get(hi) for lo, hi in apart)


def last_words(session: Session, ids: Collection[int]) -> dict[Pair, Word]:
    """The last word, which may be that nothing holds any more, on each pair of which one of these records is a half."""
    rows = query(session, _WORDS, ids=list(ids))
    return {
        (r.record_lo, r.record_hi): Word(r.id, Verdict(r.verdict), (bytes(r.basis_lo or b""), bytes(r.basis_hi or b"")))
        for r in rows
    }


def bases(words: Mapping[Pair, Word], features: Mapping[int, Features], renewed: Collection[int]) -> dict[int, bytes]:
    """Of whom records are said to tell when something is judged of them: a record that is tied already, of whom it told when
    that was last said; any other, and one that is ``renewed``, of whom it tells now.
    """
    now = {record: basis(known) for record, known in features.items()}
    told: dict[int, list[bytes]] = defaultdict(list)
    for two, word in sorted(words.items(), key=lambda entry: entry[1].id):
        if word.verdict is Verdict.SAME:
            for record, then in zip(two, word.basis, strict=True):
                told[record].append(then)
    kept = {record: told[record][-1] for record in now.keys() & told.keys() - set(renewed)}
    return now | {record: then for record, then in kept.items() if now[record] not in told[record]}


def told_apart(judged: Mapping[Pair, str], known: Collection[int]) -> set[int]:
    """The others from whom our records, which are known, were told apart."""
    return {r for p, verdict in judged.items() if verdict == Verdict.NOT_SAME for r in p} - set(known)


def told_with(session: Session, told: Pair, ids: Collection[int]) -> list[Pair]:
    """The pairs of these records that the same act told apart as it did this one, as far as it stands."""
    lo, hi = told
    return [(row.record_lo, row.record_hi) for row in query(session, _TOLD_WITH, lo=lo, hi=hi, ids=list(ids))]


def tied_beyond(session: Session, judged: Mapping[Pair, str], known: Collection[int]) -> dict[Pair, Verdict]:
    """What ties those to others whom our records, which are known, were told apart from: these others are told apart too."""
    far = told_apart(judged, known)
    return {(lo, hi): Verdict.SAME for lo, hi in query(session, _TIED, ids=list(far))} if far else {}


def write(
    session: Session,
    context: Context,
    said: Mapping[Pair, Verdict],
    told: Mapping[int, bytes],
    *,
    reason: str,
    person: str,
    operation_id: int | None = None,
) -> None:
    """Writes judgements down, each as the last word on its pair, with whom the records tell of (:func:`bases`)."""
    change = context.cause and context.cause.change_id
    rows = [
        (
            lo,
            hi,
            verdict.value,
            told[lo],
            told[hi],
            reason,
            person,
            operation_id,
            change,
            context.now,
        )
        for (lo, hi), verdict in sorted(said.items())
    ]
    insert_rows(session, Judgement, _COLUMNS, rows)


def history(session: Session, record: RecordName, *, before: int = 2**63 - 1, limit: int = 100) -> list[Any]:
    """All that was ever judged of a record, newest first; ``standing`` marks what holds."""
    return query(session, _HISTORY, system=record[0], key=record[1], before=before, limit=limit)
