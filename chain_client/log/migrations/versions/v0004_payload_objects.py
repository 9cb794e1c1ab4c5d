"""Where a payload store keeps an event."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add the columns; what is there stays in the database."""
    op.add_column("payloads", sa.Column("object_digest", sa.LargeBinary(32)))
    op.add_column("payloads", sa.Column("object_bytes", _number))
