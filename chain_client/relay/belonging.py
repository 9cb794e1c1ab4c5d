"""Whether a spool was recorded for this deployment."""

from __future__ import annotations

from chain_client import records
from chain_client.errors import ForeignSource
from chain_client.spool import Kind, Position, SourceReader

_FIRST_BYTES = 1


def check_deployment_of(reader: SourceReader, deployment_id: str | None) -> None:
    """See that a source that the log has not met yet says that it is this deployment's.

    One that does not begin with its opening record says nothing, and passes: its sequence shows a
    gap then.

    Args:
        reader: the source.
        deployment_id: ours; None lets every source pass.

    Raises:
        ForeignSource: it names another one.
        SpoolUnavailable: it can't be read.
    """
    if deployment_id is None:
        return
    found = reader.read(Position(0, 0), _FIRST_BYTES).records
    if not found or found[0].kind is not Kind.NOTE or found[0].sequence != 0:
        return
    try:
        opening = records.decode_note(found[0].body, reader.source_id, 0)
    except (ValueError, TypeError, KeyError, IndexError):
        return  # reading it on says so
    named = opening.payload.get("deployment") if opening.type == records.SOURCE_OPENED else None
    if isinstance(named, str) and named != deployment_id:
        raise ForeignSource(reader.source_id, named)
