"""Rows of `alarms`: what a person should see. A repeated alarm is one row that counts."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from chain_client.log.model import Alarm
from chain_client.log.schema import alarms


def write_alarm(connection: Connection, kind: str, subject: str, detail: str, now_us: int) -> None:
    """Raise an alarm, or count it once more; a cleared one begins anew."""
    kind, subject, detail = _storable(kind), _storable(subject), _storable(detail)
    this = (alarms.c.kind == kind) & (alarms.c.subject == subject)
    row = connection.execute(select(alarms).where(this).with_for_update()).one_or_none()
    if row is None:
        connection.execute(
            insert(alarms).values(
                {
                    "kind": kind,
                    "subject": subject,
                    "detail": detail,
                    "first_us": now_us,
                    "last_us": now_us,
                    "count": 1,
                }
            )
        )
        return
    anew = row.cleared_us is not None
    connection.execute(
        update(alarms)
        .where(this)
        .values(
            {
                "detail": detail,
                "first_us": now_us if anew else row.first_us,
                "last_us": now_us,
                "count": 1 if anew else row._mapping["count"] + 1,
                "cleared_us": None,
            }
        )
    )


def write_cleared(connection: Connection, kind: str, subject: str, now_us: int) -> None:
    """Clear an alarm; nothing happens if it does not stand."""
    connection.execute(
        update(alarms)
        .where(
            alarms.c.kind == _storable(kind),
            alarms.c.subject == _storable(subject),
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


def _storable(text: str) -> str:
    """Text that every database takes: a host's ids may hold NUL or half a surrogate pair."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
