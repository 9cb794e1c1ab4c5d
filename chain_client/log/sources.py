"""Rows of `sources`: how far each spool was read, and what is known of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update

from chain_client.log.model import SourceProgress, SourceState
from chain_client.log.schema import sources
from chain_client.types import SourceId


def find_source(connection: Connection, source_id: SourceId) -> SourceState | None:
    """What is known of a source, for the relay, which an edited row must not stop.

    What it never writes is given as nothing: no information, and a place at the beginning.
    """
    row = connection.execute(select(sources).where(sources.c.source_id == source_id)).one_or_none()
    if row is None:
        return None
    state = _state(row, _object(row.info))
    return replace(
        state,
        segment=_count(state.segment),
        offset=_count(state.offset),
        next_sequence=_count(state.next_sequence),
    )


def all_sources(connection: Connection) -> list[SourceState]:
    """Every source, in the order in which they were first met.

    Raises:
        ValueError: a row's information is no JSON: it was edited.
    """
    return [
        _state(row, json.loads(row.info))
        for row in connection.execute(select(sources).order_by("source_no"))
    ]


def source_numbers(
    connection: Connection, source_ids: Iterable[SourceId], now_us: int
) -> dict[SourceId, int]:
    """The numbers by which rows name these sources; a source not met before gets one."""
    wanted = list(dict.fromkeys(source_ids))
    found = {
        SourceId(row.source_id): int(row.source_no)
        for row in connection.execute(
            select(sources.c.source_no, sources.c.source_id).where(sources.c.source_id.in_(wanted))
        )
    }
    missing = [source_id for source_id in wanted if source_id not in found]
    if missing:
        last = connection.execute(select(func.max(sources.c.source_no))).scalar_one()
        first = 1 if last is None else last + 1
        found.update({source_id: first + n for n, source_id in enumerate(missing)})
        connection.execute(
            insert(sources),
            [
                {
                    "source_no": found[source_id],
                    "source_id": source_id,
                    "info": "{}",
                    "segment": 0,
                    "position": 0,
                    "next_sequence": 0,
                    "state": "open",
                    "created_us": now_us,
                    "updated_us": now_us,
                }
                for source_id in missing
            ],
        )
    return found


def write_progress(
    connection: Connection,
    progress: SourceProgress,
    source_no: int,
    now_us: int,
    ingester: str | None = None,
) -> None:
    """Store how far a source was read, and by whose relay.

    An empty info, fork mark or ingester leaves what is there.
    """
    values: dict[str, Any] = {
        "segment": progress.segment,
        "position": progress.offset,
        "next_sequence": progress.next_sequence,
        "state": progress.state,
        "updated_us": now_us,
    }
    if progress.info:
        values["info"] = json.dumps(dict(progress.info), separators=(",", ":"))
    if progress.forked_from is not None:
        values["forked_from"] = progress.forked_from
    if ingester is not None:
        values["ingester"] = ingester
    connection.execute(update(sources).where(sources.c.source_no == source_no).values(**values))


def _state(row: Row[Any], info: dict[str, Any]) -> SourceState:
    return SourceState(
        source_id=SourceId(row.source_id),
        info=info,
        segment=row.segment,
        offset=row.position,
        next_sequence=row.next_sequence,
        state=row.state,
        forked_from=None if row.forked_from is None else SourceId(row.forked_from),
        created_us=row.created_us,
        updated_us=row.updated_us,
        ingester=row.ingester,
    )


def _object(text: str) -> dict[str, Any]:
    """The JSON object that is stored; an empty one if it is none."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(value: object) -> int:
    """The number that is stored, for SQLite keeps whatever is put into a column."""
    return value if isinstance(value, int) and value >= 0 else 0
