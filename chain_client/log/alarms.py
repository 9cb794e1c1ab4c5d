"""Rows of `alarms`: what a person should see. A repeated alarm is one row that counts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, case, select, update
from sqlalchemy.dialects import postgresql, sqlite

from chain_client.log.model import Alarm
from chain_client.log.schema import alarms
from chain_client.log.texts import to_storable

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def write_alarm(connection: Connection, kind: str, subject: str, detail: str, now_us: int) -> None:
    """Raise an alarm, or count it once more; a cleared one begins anew. One statement, as several
    processes may raise the same.
    """
    stands = alarms.c.cleared_us.is_(None)
    added = _INSERTS[connection.dialect.name](alarms).values(
        {
            "kind": to_storable(kind),
            "subject": to_storable(subject),
            "detail": to_storable(detail),
            "first_us": now_us,
            "last_us": now_us,
            "count": 1,
        }
    )
    connection.execute(
        added.on_conflict_do_update(
            index_elements=["kind", "subject"],
            set_={
                "detail": added.excluded.detail,
                "first_us": case((stands, alarms.c.first_us), else_=added.excluded.first_us),
                "last_us": added.excluded.last_us,
                "count": case((stands, alarms.c["count"] + 1), else_=1),
                "cleared_us": None,
            },
        )
    )


def write_cleared(connection: Connection, kind: str, subject: str, now_us: int) -> None:
    """Clear an alarm; nothing happens if it does not stand."""
    connection.execute(
        update(alarms)
        .where(
            alarms.c.kind == to_storable(kind),
            alarms.c.subject == to_storable(subject),
            alarms.c.cleared_us.is_(None),
        )
        .values(cleared_us=now_us)
    )


def read_alarms(connection: Connection, include_cleared: bool) -> list[Alarm]:
    """Alarms, the newest first."""
    query = select(alarms).order_by(alarms.c.last_us.desc(), alarms.c.kind, alarms.c.subject)
    if not include_cleared:
        query = query.where(alarms.c.cleared_us.is_(None))
    return [
        Alarm(
            row["kind"],
            row["subject"],
            row["detail"],
            row["first_us"],
            row["last_us"],
            row["count"],
            row["cleared_us"],
        )
        for row in connection.execute(query).mappings()
    ]
