"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "sources",
        sa.Column("source_no", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("source_id", sa.LargeBinary(16), nullable=False, unique=True),
        sa.Column("info", sa.Text, nullable=False),
        sa.Column("segment", _number, nullable=False),
        sa.Column("position", _number, nullable=False),
        sa.Column("next_sequence", _number, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("forked_from", sa.LargeBinary(16)),
        sa.Column("created_us", _number, nullable=False),
        sa.Column("updated_us", _number, nullable=False),
    )
    op.create_table(
        "entries",
        sa.Column("log_index", _number, primary_key=True, autoincrement=False),
        sa.Column("leaf_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("source_no", sa.Integer, sa.ForeignKey("sources.source_no"), nullable=False),
        sa.Column("sequence", _number, nullable=False),
        sa.UniqueConstraint("source_no", "sequence"),
    )
    op.create_table(
        "subjects",
        sa.Column("subject_no", _number, primary_key=True, autoincrement=False),
        sa.Column("subject_key", sa.LargeBinary, nullable=False, unique=True),
    )
    op.create_table(
        "payloads",
        sa.Column("log_index", _number, sa.ForeignKey("entries.log_index"), primary_key=True),
        sa.Column("subject_no", _number, sa.ForeignKey("subjects.subject_no"), nullable=False),
        sa.Column("seed", sa.LargeBinary(16)),
        sa.Column("event", sa.LargeBinary),
        sa.Column("leaf_data", sa.LargeBinary),
    )
    op.create_index("ix_payloads_subject_no", "payloads", ["subject_no"])
    op.create_table(
        "tiles",
        sa.Column("level", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("tile", _number, primary_key=True, autoincrement=False),
        sa.Column("hashes", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "heads",
        sa.Column("size", _number, primary_key=True, autoincrement=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("transaction_id", _number),
        sa.Column("block_number", _number),
        sa.Column("block_hash", sa.LargeBinary(32)),
        sa.Column("created_us", _number, nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("token", _number, nullable=False),
        sa.Column("expires_us", _number, nullable=False),
    )
    op.create_table(
        "transactions",
        sa.Column("id", _number, primary_key=True),
        sa.Column("sender", sa.LargeBinary(20), nullable=False),
        sa.Column("nonce", _number, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("to", sa.LargeBinary(20)),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("tx_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("block_number", _number),
        sa.Column("block_hash", sa.LargeBinary(32)),
        sa.Column("gas_used", _number),
        sa.Column("created_us", _number, nullable=False),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("sender", "nonce"),
    )
    op.create_table(
        "alarms",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("first_us", _number, nullable=False),
        sa.Column("last_us", _number, nullable=False),
        sa.Column("count", _number, nullable=False),
        sa.Column("cleared_us", _number),
    )
