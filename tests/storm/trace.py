"""The truth: what MLflow's database committed, traced by the database itself.

Triggers on every table of MLflow append each inserted, updated and deleted row to one table,
inside the transaction that changes the row. So it says what was committed and in which order,
whatever our side believes; nothing of it goes through our code.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = "storm_trace"

NOT_TRACED = frozenset({"alembic_version", "job_locks", "jobs", "scheduler_leases", TABLE})
"""The schema's version, and how servers share out their own housekeeping."""

OURS = "mlops_chain_"


@dataclass(frozen=True, slots=True)
class Row:
    """One committed change of one row.

    Args:
        number: its place in the one sequence of all changes.
        table: MLflow's table.
        old: columns before; empty if the row was inserted.
        new: columns after; empty if the row was deleted.
    """

    number: int
    table: str
    old: dict[str, Any]
    new: dict[str, Any]

    def differing(self) -> set[str]:
        """The columns to which an update gave another value."""
        return {name for name in self.new if self.old.get(name) != self.new[name]}

    def changed(self, *columns: str) -> bool:
        """Whether an update gave one of the columns another value."""
        return any(self.old.get(name) != self.new.get(name) for name in columns)


class Trace:
    """The trace of one SQLite database.

    Args:
        database: the file.
    """

    def __init__(self, database: Path) -> None:
        self._database = database

    def begin(self) -> None:
        """Create the triggers; what was committed before is not traced."""
        with closing(self._connected()) as connection, connection:
            columns = _columns(connection)
            widest = max(map(len, columns.values()))
            cells = [f"{side}{place}" for side in "on" for place in range(widest)]
            # Columns without a type keep each value as it is.
            connection.execute(
                f"CREATE TABLE {TABLE} (number INTEGER PRIMARY KEY, tbl TEXT, {', '.join(cells)})"
            )
            for table, names in columns.items():
                for verb, sides in (("INSERT", "n"), ("UPDATE", "on"), ("DELETE", "o")):
                    connection.execute(_trigger(table, names, verb, sides))

    def rows(self) -> Iterator[Row]:
        """Every change, in the order of the commits."""
        with closing(self._connected()) as connection:
            columns = _columns(connection)
            widest = max(map(len, columns.values()))
            for number, table, *cells in connection.execute(
                f"SELECT * FROM {TABLE} ORDER BY number"
            ):
                names = columns[table]
                old = dict(zip(names, cells[:widest], strict=False))
                new = dict(zip(names, cells[widest:], strict=False))
                yield Row(number, table, _present(old), _present(new))

    def count(self) -> int:
        """How many changes there are."""
        with closing(self._connected()) as connection:
            (number,) = connection.execute(f"SELECT max(number) FROM {TABLE}").fetchone()
        return int(number or 0)

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._database, timeout=60)
        connection.text_factory = _text
        return connection


def _columns(connection: sqlite3.Connection) -> dict[str, list[str]]:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {
        name: [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')]
        for (name,) in sorted(tables)
        if name not in NOT_TRACED and not name.startswith((OURS, "sqlite_"))
    }


def _trigger(table: str, names: list[str], verb: str, sides: str) -> str:
    cells, values = [], []
    for side in sides:
        row = "NEW" if side == "n" else "OLD"
        cells += [f"{side}{place}" for place in range(len(names))]
        values += [f'{row}."{name}"' for name in names]
    return (
        f'CREATE TRIGGER storm_{table}_{verb} AFTER {verb} ON "{table}" BEGIN '
        f"INSERT INTO {TABLE} (tbl, {', '.join(cells)}) VALUES ('{table}', {', '.join(values)}); "
        "END"
    )


def _present(columns: dict[str, Any]) -> dict[str, Any]:
    """Nothing for a row that was not there: each table has a key that is never null."""
    return {} if all(value is None for value in columns.values()) else columns


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
