"""The tables of the log database. Every change here needs a migration in `migrations`.

Nothing in a row is secret but `payloads`: it holds the events (or where a payload store keeps
them) and the seeds of their salts and keys, and is the only table that erasure touches.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision this version knows, the newest last (a test compares it with `migrations`)."""

metadata = MetaData()

# On SQLite only INTEGER PRIMARY KEY is the row id itself; BIGINT would cost a second index.
Number = BigInteger().with_variant(Integer, "sqlite")

sources = Table(
    "sources",
    metadata,
    Column("source_no", Integer, primary_key=True, autoincrement=False),
    Column("source_id", LargeBinary(16), nullable=False, unique=True),
    Column("info", Text, nullable=False),
    Column("segment", Number, nullable=False),
    Column("position", Number, nullable=False),
    Column("next_sequence", Number, nullable=False),
    Column("state", Text, nullable=False),
    Column("forked_from", LargeBinary(16)),
    Column("created_us", Number, nullable=False),
    Column("updated_us", Number, nullable=False),
    Column("ingester", Text),  # the home whose relay brings it; NULL: not noted
)

entries = Table(
    "entries",
    metadata,
    Column("log_index", Number, primary_key=True, autoincrement=False),
    Column("leaf_hash", LargeBinary(32), nullable=False),
    Column("source_no", Integer, ForeignKey("sources.source_no"), nullable=False),
    Column("sequence", Number, nullable=False),
    UniqueConstraint("source_no", "sequence"),
)

# A key is stored once, as bytes: ordered alike on every database, so a prefix is a range.
subjects = Table(
    "subjects",
    metadata,
    Column("subject_no", Number, primary_key=True, autoincrement=False),
    Column("subject_key", LargeBinary, nullable=False, unique=True),
)

payloads = Table(
    "payloads",
    metadata,
    Column("log_index", Number, ForeignKey("entries.log_index"), primary_key=True),
    Column("subject_no", Number, ForeignKey("subjects.subject_no"), nullable=False, index=True),
    Column("seed", LargeBinary(16)),
    Column("event", LargeBinary),
    Column("leaf_data", LargeBinary),  # stays when an event is erased
    # Of an event that a payload store keeps; `event` is then its beginning, up to its type.
    Column("object_digest", LargeBinary(32)),
    Column("object_bytes", Number),
)

# 256 nodes of height 8 * level each, the last tile of a level perhaps fewer; level 0 is `entries`.
tiles = Table(
    "tiles",
    metadata,
    Column("level", SmallInteger, primary_key=True, autoincrement=False),
    Column("tile", Number, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)

heads = Table(
    "heads",
    metadata,
    Column("size", Number, primary_key=True, autoincrement=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("status", Text, nullable=False),
    Column("transaction_id", Number),
    Column("block_number", Number),
    Column("block_hash", LargeBinary(32)),
    Column("created_us", Number, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("token", Number, nullable=False),
    Column("expires_us", Number, nullable=False),
)

# Written by `chain_client.transactions` only.
transactions = Table(
    "transactions",
    metadata,
    Column("id", Number, primary_key=True),
    Column("sender", LargeBinary(20), nullable=False),
    Column("nonce", Number, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("to", LargeBinary(20)),
    Column("data", LargeBinary, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("tx_hash", LargeBinary(32), nullable=False),
    Column("status", Text, nullable=False),
    Column("block_number", Number),
    Column("block_hash", LargeBinary(32)),
    Column("gas_used", Number),
    Column("created_us", Number, nullable=False),
    Column("error", Text),
    Column("gas_limit", Number),
    UniqueConstraint("sender", "nonce"),
    Index("ix_transactions_sender_created_us", "sender", "created_us"),
)

# Every signed replacement at a transaction's nonce, the first one too; written beside them.
attempts = Table(
    "attempts",
    metadata,
    Column("tx_hash", LargeBinary(32), primary_key=True),
    Column("transaction_id", Number, ForeignKey("transactions.id"), nullable=False, index=True),
    Column("raw", LargeBinary, nullable=False),
    Column("kind", Text, nullable=False),
    Column("max_fee_wei", Number, nullable=False),
    Column("max_priority_fee_wei", Number, nullable=False),
    Column("created_us", Number, nullable=False),
)

alarms = Table(
    "alarms",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("detail", Text, nullable=False),
    Column("first_us", Number, nullable=False),
    Column("last_us", Number, nullable=False),
    Column("count", Number, nullable=False),
    Column("cleared_us", Number),
)

# How far those have read who tell others what was decided, and the payload store's mark; written by
# them alone.
cursors = Table(
    "cursors",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("updated_us", Number, nullable=False),
)
