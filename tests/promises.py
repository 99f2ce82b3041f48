"""What holds of links, numbers, events and reviews after everything that may happen, as queries."""

from __future__ import annotations

from sqlalchemy import Engine

NAMED = "WITH n AS (SELECT id, system || ':' || \"key\" AS name FROM source_record) "
_NAMED_RECORDS = (
    "SELECT m.id FROM (SELECT id, kind, customer_lo, customer_hi, evidence FROM merge_review WHERE closed_at IS NULL) m,"
    ' jsonb_to_recordset(m.evidence::jsonb->\'records\') named(record bigint, "from" text, "to" text),'
    ' LATERAL (SELECT named."from" AS came, named."to" AS went) q'
)
BROKEN = {
    "a live record has one live link": "SELECT r.id FROM source_record r LEFT JOIN link l ON l.record_id = r.id"
    " AND l.ended_at IS NULL GROUP BY r.id HAVING count(l.id) <> 1",
    "links lead to live numbers": "SELECT l.record_id FROM link l JOIN party p USING (customer_no)"
    " WHERE l.ended_at IS NULL AND p.merged_into IS NOT NULL",
    "a live number has records": "SELECT customer_no FROM party p WHERE merged_into IS NULL AND NOT EXISTS"
    " (SELECT FROM link l WHERE l.customer_no = p.customer_no AND l.ended_at IS NULL)",
    "a retired number leads to a live one in one step": "SELECT p.customer_no FROM party p LEFT JOIN party s"
    " ON s.customer_no = p.merged_into WHERE p.merged_into IS NOT NULL AND s.merged_into IS DISTINCT FROM NULL",
    "a number is where its record is": "SELECT p.customer_no FROM party p JOIN link l ON l.record_id = p.anchor_id"
    " AND l.ended_at IS NULL WHERE l.customer_no <> coalesce(p.merged_into, p.customer_no)",
    "sequences have no gap": "SELECT customer_no FROM party p WHERE event_seq IS DISTINCT FROM (SELECT count(*) FROM"
    " outbox_event e WHERE e.customer_no = p.customer_no) OR event_seq IS DISTINCT FROM (SELECT max(seq) FROM outbox_event e"
    " WHERE e.customer_no = p.customer_no)",
    "the newest golden record is the number's": "SELECT customer_no FROM party p WHERE version IS DISTINCT FROM"
    " (SELECT max(version) FROM golden_record g WHERE g.customer_no = p.customer_no)",
    "the same share a customer, others never": "SELECT j.id FROM judgement j JOIN link a ON a.record_id = record_lo"
    " AND a.ended_at IS NULL JOIN link b ON b.record_id = record_hi AND b.ended_at IS NULL WHERE NOT EXISTS (SELECT FROM"
    " judgement n WHERE n.record_lo = j.record_lo AND n.record_hi = j.record_hi AND n.id > j.id)"
    " AND CASE verdict WHEN 'SAME' THEN a.customer_no <> b.customer_no WHEN 'NOT_SAME' THEN a.customer_no = b.customer_no"
    " ELSE false END",
    "one open review for each pair and kind": "SELECT customer_lo FROM merge_review WHERE closed_at IS NULL"
    " GROUP BY customer_lo, customer_hi, kind HAVING count(*) > 1",
    "reviews are between live customers": "SELECT r.id FROM merge_review r JOIN party p ON p.customer_no IN (customer_lo,"
    " customer_hi) WHERE closed_at IS NULL AND (p.merged_into IS NOT NULL OR (kind = 'PAIR' AND customer_lo = customer_hi))",
    "nobody is asked about what was judged": "SELECT d.record_lo FROM doubtful_pair d JOIN judgement j"
    " USING (record_lo, record_hi) WHERE d.rule <> 'JUDGED-OTHER' AND verdict IN ('SAME', 'NOT_SAME') AND NOT EXISTS"
    " (SELECT FROM judgement n WHERE n.record_lo = j.record_lo AND n.record_hi = j.record_hi AND n.id > j.id)",
    "no review is without a doubt": "SELECT m.id FROM merge_review m WHERE closed_at IS NULL AND kind = 'PAIR' AND NOT EXISTS"
    " (SELECT FROM doubtful_pair d JOIN link a ON a.record_id = d.record_lo AND a.ended_at IS NULL JOIN link b"
    " ON b.record_id = d.record_hi AND b.ended_at IS NULL WHERE d.rule <> 'JUDGED-OTHER'"
    " AND least(a.customer_no, b.customer_no) = customer_lo AND greatest(a.customer_no, b.customer_no) = customer_hi)",
    "no doubt is without a review": "SELECT d.record_lo FROM doubtful_pair d JOIN link a ON a.record_id = d.record_lo"
    " AND a.ended_at IS NULL JOIN link b ON b.record_id = d.record_hi AND b.ended_at IS NULL JOIN party p"
    " ON p.customer_no = a.customer_no JOIN party o ON o.customer_no = b.customer_no WHERE a.customer_no <> b.customer_no"
    " AND d.rule <> 'JUDGED-OTHER' AND NOT EXISTS (SELECT FROM merge_review WHERE closed_at IS NULL AND kind = 'PAIR'"
    " AND customer_lo = least(a.customer_no, b.customer_no) AND customer_hi = greatest(a.customer_no, b.customer_no))"
    " AND NOT EXISTS (SELECT FROM judgement j WHERE j.record_lo = least(p.anchor_id, o.anchor_id)"
    " AND j.record_hi = greatest(p.anchor_id, o.anchor_id) AND verdict = 'NOT_SAME' AND NOT EXISTS (SELECT FROM judgement n"
    " WHERE n.record_lo = j.record_lo AND n.record_hi = j.record_hi AND n.id > j.id))",
    "a review of a move names records that are where it says": f"{_NAMED_RECORDS} WHERE kind = 'MOVED' AND NOT EXISTS (SELECT"
    " FROM link l JOIN party t ON t.customer_no = went AND l.customer_no = coalesce(t.merged_into, went)"
    " JOIN party f ON f.customer_no = came WHERE l.record_id = named.record AND ended_at IS NULL AND came <> went"
    " AND l.customer_no IN (customer_lo, customer_hi) AND coalesce(f.merged_into, came) IN (customer_lo, customer_hi)"
    " AND (coalesce(f.merged_into, came) <> l.customer_no OR customer_lo = customer_hi))",
    "a review of misfits names records that a person placed there": f"{_NAMED_RECORDS} WHERE kind = 'MISFIT' AND NOT EXISTS"
    " (SELECT FROM link l JOIN judgement j ON l.record_id IN (record_lo, record_hi) WHERE l.record_id = named.record"
    " AND ended_at IS NULL AND l.customer_no = customer_lo AND customer_lo = customer_hi AND origin = 'MANUAL'"
    " AND verdict = 'SAME')",
    "a review of records shows what speaks against them": "SELECT id FROM merge_review m WHERE closed_at IS NULL"
    " AND kind IN ('MOVED', 'MISFIT') AND NOT (rule <> '' AND policy_version <> '' AND risk > 1 AND EXISTS (SELECT"
    " FROM jsonb_array_elements(evidence::jsonb->'pairs') p, jsonb_array_elements(evidence::jsonb->'records') r"
    " WHERE r->'record' IN (p->'record_lo', p->'record_hi')))",
    "what a review shows of records is of its customers": "SELECT m.id FROM merge_review m,"
    " jsonb_array_elements(evidence::jsonb->'pairs') p, jsonb_array_elements(jsonb_build_array(p->'record_lo', p->'record_hi')) r"
    " WHERE closed_at IS NULL AND NOT EXISTS (SELECT FROM link l WHERE l.record_id = r::bigint AND ended_at IS NULL"
    " AND customer_no IN (customer_lo, customer_hi))",
}  # fmt: skip
"""Laws, each with a query for what breaks it."""
_BROKEN = " UNION ALL ".join(
    "SELECT '{}' AS law WHERE EXISTS ({})".format(law.replace("'", "''"), query) for law, query in BROKEN.items()
)
DERIVED = {
    "links": "SELECT n.name, customer_no, origin, rule FROM link JOIN n ON n.id = record_id WHERE ended_at IS NULL",
    "pairs": "SELECT a.name, b.name, held, level, rule, evidence FROM doubtful_pair JOIN n a ON a.id = record_lo"
    " JOIN n b ON b.id = record_hi",
    "reviews": "SELECT customer_lo, customer_hi, kind, level, evidence FROM merge_review WHERE closed_at IS NULL",
    "documents": "SELECT p.customer_no, p.merged_into, g.document FROM party p JOIN golden_record g USING (customer_no, version)",
    "shared values": "SELECT digest, holders FROM shared_value",
}
"""All that is derived."""
STANDING = (
    f"{NAMED} SELECT a.name, b.name, verdict, basis_lo, basis_hi FROM judgement j"
    " JOIN n a ON a.id = record_lo JOIN n b ON b.id = record_hi"
    " WHERE verdict <> 'WITHDRAWN' AND NOT EXISTS (SELECT FROM judgement n WHERE n.record_lo = j.record_lo"
    " AND n.record_hi = j.record_hi AND n.id > j.id) ORDER BY j.id"
)
MANUAL = f"{NAMED} SELECT n.name, customer_no FROM link JOIN n ON n.id = record_id WHERE ended_at IS NULL AND origin = 'MANUAL'"
MOVES = (
    f"{NAMED} SELECT n.name, r->>'from', m.customer_lo, m.customer_hi"
    " FROM merge_review m, jsonb_array_elements(m.evidence::jsonb->'records') r"
    " JOIN n ON n.id = (r->>'record')::bigint WHERE closed_at IS NULL AND kind = 'MOVED'"
)
"""The records that open reviews ask about because they moved: whom they left, and between which two it is asked."""


def derived(engine: Engine) -> dict[str, list[str]]:
    """All that is derived, and the numbers."""
    with engine.connect() as connection:
        rows = {what: connection.exec_driver_sql(NAMED + query).all() for what, query in DERIVED.items()}
        return {what: sorted(map(repr, those)) for what, those in rows.items()}


def broken(engine: Engine) -> list[str]:
    """The laws that do not hold."""
    with engine.connect() as connection:
        return list(connection.exec_driver_sql(_BROKEN).scalars())
