"""Rows of `cursors`: how far those have read who tell others what was decided."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from chain_client.log import leases
from chain_client.log.database import reading, writing
from chain_client.log.model import Lease
from chain_client.log.opened_database import OpenedDatabase
from chain_client.log.schema import cursors

_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class Cursors(OpenedDatabase):
    """The part of `Log` that keeps cursors; whoever reads has a name of its own."""

    def cursor(self, name: str) -> str | None:
        """What was put under the name; None if nothing was."""
        query = select(cursors.c.value).where(cursors.c.name == name)
        with reading(self.engine) as connection:
            found: str | None = connection.execute(query).scalar_one_or_none()
            return found

    def put_cursor(self, name: str, value: str, lease: Lease | None = None) -> None:
        """Put a value under a name, in place of the one before. On disk when this returns.

        Args:
            name: whoever reads has one of its own.
            value: how far it has read.
            lease: that allows it; None where none is needed.

        Raises:
            AnotherRelay: the lease was taken over.
        """
        with writing(self.engine) as connection:
            if lease is not None:
                leases.fence(connection, lease)
            added = _INSERTS[connection.dialect.name](cursors).values(
                name=name, value=value, updated_us=self._clock.time_us()
            )
            connection.execute(
                added.on_conflict_do_update(
                    index_elements=["name"],
                    set_={"value": added.excluded.value, "updated_us": added.excluded.updated_us},
                )
            )

    def put_cursor_once(self, name: str, value: str) -> str:
        """Put a value under a name that has none; the one that it then has. On disk likewise."""
        with writing(self.engine) as connection:
            added = _INSERTS[connection.dialect.name](cursors).values(
                name=name, value=value, updated_us=self._clock.time_us()
            )
            connection.execute(added.on_conflict_do_nothing(index_elements=["name"]))
            query = select(cursors.c.value).where(cursors.c.name == name)
            return str(connection.execute(query).scalar_one())
