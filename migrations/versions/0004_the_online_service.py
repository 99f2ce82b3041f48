"""The online service: changes, stored answers, clear reads, change requests, document expiry, places of events

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

MOMENT = sa.DateTime(timezone=True)


def _column(name: str, kind: object, *, nullable: bool = False) -> sa.Column:  # type: ignore[type-arg]
    return sa.Column(name, kind, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "change_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        _column("action", sa.String(40)),
        _column("caller", sa.String(200)),
        _column("operator", sa.String(64)),
        _column("channel", sa.String(40)),
        _column("branch", sa.String(40)),
        _column("business_date", sa.Date(), nullable=True),
        _column("reason", sa.String(500)),
        _column("evidence", sa.String(200)),
        _column("request_id", sa.String(64)),
        _column("changed_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_log")),
    )
    op.create_table(
        "stored_answer",
        _column("caller", sa.String(200)),
        _column("key", sa.String(64)),
        _column("request_hash", sa.LargeBinary(16)),
        _column("status", sa.SmallInteger()),
        _column("headers", sa.Text()),
        _column("body", sa.Text()),
        _column("asked_at", MOMENT),
        sa.PrimaryKeyConstraint("caller", "key", name=op.f("pk_stored_answer")),
    )
    op.create_index(op.f("ix_stored_answer_asked_at"), "stored_answer", ["asked_at"])
    op.create_table(
        "clear_read",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        _column("customer_no", sa.String(12)),
        _column("caller", sa.String(200)),
        _column("operator", sa.String(64)),
        _column("channel", sa.String(40)),
        _column("purpose", sa.String(200)),
        _column("fields", sa.String(200)),
        _column("request_id", sa.String(64)),
        _column("read_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clear_read")),
    )
    op.create_index(op.f("ix_clear_read_customer_no_read_at"), "clear_read", ["customer_no", "read_at"])
    op.create_table(
        "change_request",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        _column("customer_no", sa.String(12)),
        _column("status", sa.String(40)),
        _column("patch", sa.Text()),
        _column("before", sa.Text()),
        _column("reason", sa.String(500)),
        _column("evidence", sa.String(200)),
        _column("maker", sa.String(200)),
        _column("caller", sa.String(200)),
        _column("channel", sa.String(40)),
        _column("branch", sa.String(40)),
        _column("made_at", MOMENT),
        _column("checker", sa.String(200), nullable=True),
        _column("note", sa.Text(), nullable=True),
        _column("decided_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["customer_no"], ["party.customer_no"], name=op.f("fk_change_request_customer_no")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_change_request")),
    )
    op.create_index(op.f("ix_change_request_status_id"), "change_request", ["status", "id"])
    op.create_index(op.f("ix_change_request_customer_no"), "change_request", ["customer_no"])
    op.create_table(
        "document_expiry",
        _column("customer_no", sa.String(12)),
        _column("space", sa.String(40)),
        _column("valid_to", sa.Date()),
        _column("stage", sa.SmallInteger()),
        _column("told_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["customer_no"], ["party.customer_no"], name=op.f("fk_document_expiry_customer_no")),
        sa.PrimaryKeyConstraint("customer_no", "space", name=op.f("pk_document_expiry")),
    )
    op.create_index(op.f("ix_document_expiry_stage_valid_to"), "document_expiry", ["stage", "valid_to"])
    op.execute("CREATE SEQUENCE event_position")
    op.add_column("outbox_event", _column("position", sa.BigInteger(), nullable=True))
    op.create_unique_constraint(op.f("uq_outbox_event_position"), "outbox_event", ["position"])
    op.create_index("ix_outbox_event_unplaced", "outbox_event", ["id"], postgresql_where=sa.text("position IS NULL"))
    for table in ("outbox_event", "source_record_version"):
        op.add_column(table, _column("change_id", sa.BigInteger(), nullable=True))
        op.create_foreign_key(op.f(f"fk_{table}_change_id"), table, "change_log", ["change_id"], ["id"])
    op.drop_column("source_record", "ended_at")
    op.drop_index("ix_link_customer_live", "link")
    op.create_index(op.f("ix_link_customer_no"), "link", ["customer_no"])


def downgrade() -> None:
    op.drop_index(op.f("ix_link_customer_no"), "link")
    op.create_index("ix_link_customer_live", "link", ["customer_no"], postgresql_where=sa.text("ended_at IS NULL"))
    op.add_column("source_record", _column("ended_at", MOMENT, nullable=True))
    for table in ("source_record_version", "outbox_event"):
        op.drop_column(table, "change_id")
    op.drop_column("outbox_event", "position")
    op.execute("DROP SEQUENCE event_position")
    for table in ("document_expiry", "change_request", "clear_read", "stored_answer", "change_log"):
        op.drop_table(table)
