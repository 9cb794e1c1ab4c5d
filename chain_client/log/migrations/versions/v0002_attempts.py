"""Every signed replacement of a transaction, the gas it may use; which home feeds a source."""

import rlp
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Add the tables, and give each stored transaction its one attempt."""
    op.create_table(
        "attempts",
        sa.Column("tx_hash", sa.LargeBinary(32), primary_key=True),
        sa.Column("transaction_id", _number, sa.ForeignKey("transactions.id"), nullable=False),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("max_fee_wei", _number, nullable=False),
        sa.Column("max_priority_fee_wei", _number, nullable=False),
        sa.Column("created_us", _number, nullable=False),
    )
    op.create_index("ix_attempts_transaction_id", "attempts", ["transaction_id"])
    op.add_column("transactions", sa.Column("gas_limit", _number))
    op.add_column("sources", sa.Column("ingester", sa.Text))
    op.create_index("ix_transactions_sender_created_us", "transactions", ["sender", "created_us"])
    _fill()


def _fill() -> None:
    connection = op.get_bind()
    found = sa.MetaData()
    transactions = sa.Table("transactions", found, autoload_with=connection)
    attempts = sa.Table("attempts", found, autoload_with=connection)
    last_id = -1
    while True:
        query = (
            sa.select(transactions)
            .where(transactions.c.id > last_id)
            .order_by(transactions.c.id)
            .limit(1000)
        )
        rows = connection.execute(query).mappings().all()
        if not rows:
            return
        last_id = rows[-1]["id"]
        for row in rows:
            # All of them are of type 2: version 0001 knew no other.
            fields = rlp.decode(bytes(row["raw"])[1:])
            connection.execute(
                attempts.insert().values(
                    tx_hash=row["tx_hash"],
                    transaction_id=row["id"],
                    raw=row["raw"],
                    kind="call",
                    max_fee_wei=int.from_bytes(fields[3], "big"),
                    max_priority_fee_wei=int.from_bytes(fields[2], "big"),
                    created_us=row["created_us"],
                )
            )
            connection.execute(
                transactions.update()
                .where(transactions.c.id == row["id"])
                .values(gas_limit=int.from_bytes(fields[4], "big"))
            )
