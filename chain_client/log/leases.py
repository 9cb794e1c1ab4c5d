"""Leases with fencing tokens: who may write, and how a writer that lost the right is stopped.

The token is compared inside the transaction that writes, so a process that slept through the
end of its lease can never write beside its successor.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from chain_client.clock import Clock
from chain_client.errors import AnotherRelay
from chain_client.log.model import Lease
from chain_client.log.postgres import is_postgres, server_time_us
from chain_client.log.schema import leases
from chain_client.log.texts import to_storable


def fence(connection: Connection, lease: Lease) -> None:
    """See that nobody took the lease over; first statement of each transaction that writes.

    Until the transaction ends nobody can take it over. The time is not looked at: as long as
    nobody else has the lease, its holder may write.

    Raises:
        AnotherRelay: the lease has another token now.
    """
    # FOR UPDATE on a server; SQLite's BEGIN IMMEDIATE has locked all of it already.
    token = connection.execute(
        select(leases.c.token).where(leases.c.name == lease.name).with_for_update()
    ).scalar_one_or_none()
    if token != lease.token:
        raise AnotherRelay(
            f"the lease {lease.name!r} of {lease.holder} was taken over by another process; "
            "nothing was written, this one must stop"
        )


def acquire(
    connection: Connection,
    name: str,
    holder: str,
    ttl_us: int,
    clock: Clock,
    replace_dead: Callable[[str], bool] | None = None,
) -> Lease:
    """Take the lease if it is free, has expired or its holder is dead, with a higher token.

    Raises:
        AnotherRelay: somebody holds it.
    """
    name, holder = to_storable(name), to_storable(holder)
    row = connection.execute(
        select(leases).where(leases.c.name == name).with_for_update()
    ).one_or_none()
    now_us = _time_us(connection, clock)  # after any wait for the row
    held = row is not None and row.expires_us > now_us
    if row is not None and held and not (replace_dead is not None and replace_dead(row.holder)):
        left_s = (row.expires_us - now_us) / 1e6
        raise AnotherRelay(
            f"{row.holder} holds the lease {name!r} for another {left_s:.0f} s, and renews it as "
            "long as it works; stop it, or wait until its lease expires"
        )
    lease = Lease(name, holder, 1 if row is None else row.token + 1, now_us + ttl_us)
    values = {"holder": holder, "token": lease.token, "expires_us": lease.expires_us}
    if row is None:
        try:
            connection.execute(insert(leases).values(name=name, **values))
        except IntegrityError as exc:  # a server lets two get so far; SQLite does not
            raise AnotherRelay(f"another process just took the lease {name!r}") from exc
    else:
        connection.execute(update(leases).where(leases.c.name == name).values(**values))
    return lease


def extend(connection: Connection, lease: Lease, ttl_us: int, clock: Clock) -> Lease:
    """The lease with a later end; an expired one too, if nobody took it.

    Raises:
        AnotherRelay: somebody did.
    """
    fence(connection, lease)
    expires_us = _time_us(connection, clock) + ttl_us
    extended = Lease(lease.name, lease.holder, lease.token, expires_us)
    connection.execute(
        update(leases).where(leases.c.name == lease.name).values(expires_us=extended.expires_us)
    )
    return extended


def give_back(connection: Connection, lease: Lease) -> None:
    """End the lease now; nothing happens if somebody took it over."""
    connection.execute(
        update(leases)
        .where(leases.c.name == lease.name, leases.c.token == lease.token)
        .values(expires_us=0)
    )


def find(connection: Connection, name: str, clock: Clock) -> Lease | None:
    """The lease if somebody holds it now."""
    now_us = _time_us(connection, clock)
    row = connection.execute(
        select(leases).where(leases.c.name == to_storable(name), leases.c.expires_us > now_us)
    ).one_or_none()
    return None if row is None else Lease(row.name, row.holder, row.token, row.expires_us)


def find_all(connection: Connection, prefix: str, clock: Clock) -> list[Lease]:
    """Every lease whose name begins so and that somebody holds now, by name."""
    now_us = _time_us(connection, clock)
    rows = connection.execute(
        select(leases)
        .where(
            leases.c.name.startswith(to_storable(prefix), autoescape=True),
            leases.c.expires_us > now_us,
        )
        .order_by(leases.c.name)
    )
    return [Lease(row.name, row.holder, row.token, row.expires_us) for row in rows]


def find_known(connection: Connection, prefix: str) -> list[Lease]:
    """Every lease whose name begins so, held or not, by name."""
    rows = connection.execute(
        select(leases)
        .where(leases.c.name.startswith(to_storable(prefix), autoescape=True))
        .order_by(leases.c.name)
    )
    return [Lease(row.name, row.holder, row.token, row.expires_us) for row in rows]


def _time_us(connection: Connection, clock: Clock) -> int:
    """The time that decides: of the server where there is one, so that the clocks of machines that
    share a log need not agree; else this machine's.
    """
    return server_time_us(connection) if is_postgres(connection) else clock.time_us()
