"""What the files of a version are, as it stands in the log."""

from __future__ import annotations

from collections.abc import Callable

from chain_client.attestations import (
    Attestation,
    find_attestation,
    note_attestation,
    recorded_in,
)
from chain_client.client import ChainClient
from chain_client.errors import InvalidInput
from chain_client.events import Actor
from chain_client.governing.logged import wait_until_logged
from chain_client.governing.models import FoundModel
from chain_client.hosts import AttestedFiles

Tell = Callable[[str], None]
"""Says what is being done."""


def tell_nobody(text: str) -> None:
    """Says nothing."""


def attest(
    client: ChainClient,
    found: FoundModel,
    version: int,
    timeout_s: float,
    tell: Tell = tell_nobody,
    *,
    actor: Actor | None = None,
) -> Attestation:
    """What the files of a version are, as it stands in the log; every file is read.

    Guarantee: they were so at a time when the log had it, from which on nobody changes them
    through a server. Where only reading tells that files changed, they are read once more then.

    Args:
        client: of the home.
        found: the model.
        version: its number.
        timeout_s: how long another relay is waited for.
        tell: says what is being done.
        actor: who asks.

    Raises:
        HostUnavailable: the files can't be read.
        InvalidInput: there is no such version, it has files that can't be attested, or somebody
            changed them meanwhile.
        LogUnavailable: the attestation did not come into the log in time.
    """
    store_id = found.binding.store_id
    tell("reading every file of the version")
    size = client.log.size()
    files = read_files(client, found, version)

    def look() -> Attestation | None:
        latest = find_attestation(client.log, store_id, files.location)
        return latest if latest is not None and latest.files == files else None

    known = look()
    if known is not None and known.leaf_index < size:
        return known
    if known is None:
        note_attestation(
            client.recorder,
            store_id,
            files,
            name=found.model.name,
            version=version,
            workspace=found.model.workspace,
            actor=actor,
        )
        tell("waiting until the digest stands in the log")
        known = wait_until_logged(client, look, timeout_s=timeout_s)
    if files.tells_changes:
        return known
    tell("reading every file once more: this storage does not tell whether they were changed")
    if read_files(client, found, version) != files:
        raise InvalidInput(
            f"the files at {files.location} were changed while they were attested: nothing was "
            "registered; look at what they are now, and propose again"
        )
    return known


def read_files(client: ChainClient, found: FoundModel, version: int) -> AttestedFiles:
    """What the files of a version are now; every file is read, and nothing is written.

    Raises:
        HostUnavailable: the files can't be read.
        InvalidInput: there is no such version, or it has files that can't be attested.
        LogCorrupt: what was recorded of the files can't be read, so that nobody can compare them.
    """
    own, model = found.binding, found.model
    # A registry in a database of its own: the server records in another one what runs log.
    beside = [b.store_id for b in client.folder.bindings() if b.artifacts == own.artifacts]
    recorded = recorded_in(client.log, *{own.store_id, *beside}, whole=True)
    return found.host.attest(own, model.name, version, model.workspace, recorded)
