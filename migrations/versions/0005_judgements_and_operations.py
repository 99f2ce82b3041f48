"""One number for life: judgements, operations (merge, split, undo), and the steward's side of reviews

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

MOMENT = sa.DateTime(timezone=True)
OPEN = sa.text("closed_at IS NULL")
CLOSED = sa.text("closed_at IS NOT NULL")
STANDING = sa.text("status IN ('PENDING', 'DONE')")


def _column(name: str, kind: object, *, nullable: bool = False, default: str | None = None) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, kind, nullable=nullable, server_default=default)


def _id() -> sa.Column:  # type: ignore[type-arg]
    return sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False)


def _foreign(table: str, column: str, other: str, key: str = "id") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{other}.{key}"], name=op.f(f"fk_{table}_{column}"))


def upgrade() -> None:
    op.create_table(
        "operation",
        _id(),
        _column("kind", sa.String(40)),
        _column("status", sa.String(40)),
        _column("customer_no", sa.String(12)),
        _column("request", sa.Text()),
        _column("seen", sa.Text()),
        _column("fingerprint", sa.LargeBinary(16)),
        _column("reason", sa.String(500)),
        _column("evidence", sa.String(200)),
        _column("override", sa.String(200)),
        _column("maker", sa.String(200)),
        _column("caller", sa.String(200)),
        _column("channel", sa.String(40)),
        _column("branch", sa.String(40)),
        _column("made_at", MOMENT),
        _column("checker", sa.String(200), nullable=True),
        _column("note", sa.Text(), nullable=True),
        _column("decided_at", MOMENT, nullable=True),
        _column("outcome", sa.Text(), nullable=True),
        _column("reverses", sa.BigInteger(), nullable=True),
        _column("reversed_at", MOMENT, nullable=True),
        _foreign("operation", "customer_no", "party", "customer_no"),
        _foreign("operation", "reverses", "operation"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
    )
    op.create_index(op.f("ix_operation_status_id"), "operation", ["status", "id"])
    op.create_index(op.f("ix_operation_customer_no"), "operation", ["customer_no"])
    op.create_index(op.f("ix_operation_reverses"), "operation", ["reverses"], unique=True, postgresql_where=STANDING)
    waiting = sa.text("status = 'PENDING'")
    op.create_index("uq_operation_pending", "operation", ["fingerprint"], unique=True, postgresql_where=waiting)
    op.create_index(op.f("ix_operation_fingerprint"), "operation", ["fingerprint"])
    op.create_table(
        "operation_record",
        _column("operation_id", sa.BigInteger()),
        _column("record_id", sa.BigInteger()),
        _column("customer_no", sa.String(12)),
        _foreign("operation_record", "operation_id", "operation"),
        _foreign("operation_record", "record_id", "source_record"),
        _foreign("operation_record", "customer_no", "party", "customer_no"),
        sa.PrimaryKeyConstraint("operation_id", "record_id", name=op.f("pk_operation_record")),
    )
    op.create_index(op.f("ix_operation_record_record_id"), "operation_record", ["record_id"])
    op.create_table(
        "operation_customer",
        _column("operation_id", sa.BigInteger()),
        _column("customer_no", sa.String(12)),
        _foreign("operation_customer", "operation_id", "operation"),
        _foreign("operation_customer", "customer_no", "party", "customer_no"),
        sa.PrimaryKeyConstraint("operation_id", "customer_no", name=op.f("pk_operation_customer")),
    )
    op.create_index(op.f("ix_operation_customer_customer_no"), "operation_customer", ["customer_no"])
    op.create_table(
        "check_answer",
        _id(),
        _column("customer_no", sa.String(12)),
        _column("kind", sa.String(40)),
        _column("result", sa.String(40)),
        _column("caller", sa.String(200)),
        _column("operator", sa.String(64)),
        _column("channel", sa.String(40)),
        _column("request_id", sa.String(64)),
        _column("answered_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_answer")),
    )
    op.create_index(op.f("ix_check_answer_answered_at"), "check_answer", ["answered_at"])
    op.create_index(op.f("ix_check_answer_customer_no_answered_at"), "check_answer", ["customer_no", "answered_at"])
    op.create_table(
        "account_move",
        _id(),
        _column("record_id", sa.BigInteger()),
        _column("digest", sa.Uuid()),
        _column("owner_id", sa.BigInteger()),
        _column("operation_id", sa.BigInteger(), nullable=True),
        _column("made_at", MOMENT),
        _foreign("account_move", "record_id", "source_record"),
        _foreign("account_move", "owner_id", "source_record"),
        _foreign("account_move", "operation_id", "operation"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_move")),
    )
    op.create_index(op.f("ix_account_move_record_id_digest_id"), "account_move", ["record_id", "digest", "id"])
    op.add_column("account", _column("owner_id", sa.BigInteger(), nullable=True))
    op.execute("UPDATE account SET owner_id = record_id")
    op.alter_column("account", "owner_id", nullable=False)
    op.create_foreign_key(op.f("fk_account_owner_id"), "account", "source_record", ["owner_id"], ["id"])
    op.create_index(op.f("ix_account_owner_id"), "account", ["owner_id"])
    op.add_column("account", _column("account_class", sa.String(40), nullable=True))
    op.create_table(
        "judgement",
        _id(),
        _column("record_lo", sa.BigInteger()),
        _column("record_hi", sa.BigInteger()),
        _column("verdict", sa.String(40)),
        _column("basis_lo", sa.LargeBinary(8), nullable=True),
        _column("basis_hi", sa.LargeBinary(8), nullable=True),
        _column("reason", sa.String(500)),
        _column("person", sa.String(200)),
        _column("operation_id", sa.BigInteger(), nullable=True),
        _column("change_id", sa.BigInteger(), nullable=True),
        _column("made_at", MOMENT),
        sa.CheckConstraint("record_lo < record_hi", name=op.f("ck_judgement_ordered")),
        _foreign("judgement", "record_lo", "source_record"),
        _foreign("judgement", "record_hi", "source_record"),
        _foreign("judgement", "operation_id", "operation"),
        _foreign("judgement", "change_id", "change_log"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgement")),
    )
    op.create_index(op.f("ix_judgement_record_lo_record_hi_id"), "judgement", ["record_lo", "record_hi", "id"])
    op.create_index(op.f("ix_judgement_record_hi"), "judgement", ["record_hi"])
    for column in (
        _column("kind", sa.String(40), default="PAIR"),
        _column("rule", sa.String(40), default=""),
        _column("policy_version", sa.String(20), default=""),
        _column("state", sa.String(40), default="OPEN"),
        _column("risk", sa.SmallInteger(), default="1"),
        _column("version", sa.Integer(), default="1"),
        _column("claimed_by", sa.String(200), nullable=True),
        _column("claimed_at", MOMENT, nullable=True),
        _column("operation_id", sa.BigInteger(), nullable=True),
    ):
        op.add_column("merge_review", column)
    op.create_foreign_key(op.f("fk_merge_review_operation_id"), "merge_review", "operation", ["operation_id"], ["id"])
    op.drop_constraint(op.f("ck_merge_review_ordered"), "merge_review")
    op.create_check_constraint(op.f("ck_merge_review_ordered"), "merge_review", "customer_lo <= customer_hi")
    op.drop_index("uq_merge_review_open", "merge_review")
    pair = ["customer_lo", "customer_hi", "kind"]
    op.create_index("uq_merge_review_open", "merge_review", pair, unique=True, postgresql_where=OPEN)
    op.create_index("ix_merge_review_queue", "merge_review", ["risk", "opened_at", "id"], postgresql_where=OPEN)
    op.create_index("ix_merge_review_closed", "merge_review", ["closed_at", "id"], postgresql_where=CLOSED)
    op.drop_index("ix_merge_review_hi_open", "merge_review")
    for column_name in ("customer_lo", "customer_hi", "operation_id"):
        op.create_index(op.f(f"ix_merge_review_{column_name}"), "merge_review", [column_name])
    op.execute("UPDATE merge_review SET state = 'CLOSED' WHERE closed_at IS NOT NULL")
    op.create_table(
        "bulk_decision",
        _id(),
        _column("decision", sa.String(40)),
        _column("filter", sa.Text()),
        _column("reason", sa.String(500)),
        _column("person", sa.String(200)),
        _column("change_id", sa.BigInteger()),
        _column("made_at", MOMENT),
        _column("undone_at", MOMENT, nullable=True),
        _column("undone_by", sa.String(200), nullable=True),
        _foreign("bulk_decision", "change_id", "change_log"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_decision")),
    )
    op.create_table(
        "review_entry",
        _id(),
        _column("review_id", sa.BigInteger()),
        _column("action", sa.String(40)),
        _column("state_before", sa.String(40)),
        _column("person", sa.String(200)),
        _column("text", sa.Text()),
        _column("bulk_id", sa.BigInteger(), nullable=True),
        _column("made_at", MOMENT),
        _foreign("review_entry", "review_id", "merge_review"),
        _foreign("review_entry", "bulk_id", "bulk_decision"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_entry")),
    )
    op.create_index(op.f("ix_review_entry_review_id_id"), "review_entry", ["review_id", "id"])
    op.create_index(op.f("ix_review_entry_bulk_id"), "review_entry", ["bulk_id"])


def downgrade() -> None:
    for table in ("review_entry", "bulk_decision"):
        op.drop_table(table)
    op.execute("DELETE FROM merge_review WHERE kind <> 'PAIR'")
    for name in ("queue", "closed", "customer_lo", "customer_hi"):
        op.drop_index(f"ix_merge_review_{name}", "merge_review")
    op.create_index("ix_merge_review_hi_open", "merge_review", ["customer_hi"], postgresql_where=OPEN)
    op.drop_index("uq_merge_review_open", "merge_review")
    pair = ["customer_lo", "customer_hi"]
    op.create_index("uq_merge_review_open", "merge_review", pair, unique=True, postgresql_where=OPEN)
    op.drop_constraint(op.f("ck_merge_review_ordered"), "merge_review")
    op.create_check_constraint(op.f("ck_merge_review_ordered"), "merge_review", "customer_lo < customer_hi")
    for column in (
        "kind",
        "rule",
        "policy_version",
        "state",
        "risk",
        "version",
        "claimed_by",
        "claimed_at",
        "operation_id",
    ):
        op.drop_column("merge_review", column)
    for column in ("owner_id", "account_class"):
        op.drop_column("account", column)
    for table in ("account_move", "judgement", "check_answer", "operation_customer", "operation_record", "operation"):
        op.drop_table(table)
