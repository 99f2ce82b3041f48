"""What the review queue is filtered by stands in the indexes that give its order; a decision says where the proof is, and what
it said is found by it

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

OPEN, CLOSED = sa.text("closed_at IS NULL"), sa.text("closed_at IS NOT NULL")
QUEUE, QUEUE_FILTERS = ["risk", "opened_at", "id"], ["state", "kind", "level", "rule", "claimed_by"]
PAST, PAST_FILTERS = ["closed_at", "id"], ["kind", "level", "rule", "risk"]


def _indexes(queue: list[str], closed: list[str]) -> None:
    for name, columns, of in (("queue", queue, OPEN), ("closed", closed, CLOSED)):
        op.drop_index(f"ix_merge_review_{name}", "merge_review")
        op.create_index(f"ix_merge_review_{name}", "merge_review", columns, postgresql_where=of)


def upgrade() -> None:
    _indexes(QUEUE + QUEUE_FILTERS, PAST + PAST_FILTERS)
    op.add_column("review_entry", sa.Column("evidence", sa.String(200), server_default="", nullable=False))
    op.add_column("review_entry", sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("review_entry", "evidence", server_default=None)
    op.create_index(op.f("ix_judgement_change_id"), "judgement", ["change_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_judgement_change_id"), "judgement")
    for column in ("claimed_at", "evidence"):
        op.drop_column("review_entry", column)
    _indexes(QUEUE, PAST)
