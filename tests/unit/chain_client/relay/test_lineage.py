"""Ids of forked sources never change: a relay that dies on the way must find the same ones."""

from __future__ import annotations

from chain_client.relay.lineage import fork_id, fork_note_id
from chain_client.types import EventId, SourceId


def test_the_ids_of_a_fork_are_those_of_every_version() -> None:
    parent, event_id = SourceId(b"\1" * 16), EventId(b"\2" * 16)
    # By sha256sum, over the tag, a zero byte, and the ids.
    assert fork_id(parent, event_id).hex() == "ffd67c001bdd47920c977e90c35d25a5"
    assert fork_note_id(SourceId(b"\3" * 16)).hex() == "021f51e0d860e8f25c52d0477afaee5d"
