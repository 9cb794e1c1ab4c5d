"""Bringing to the chain what approvers signed while it could not be reached."""

from __future__ import annotations

from collections.abc import Callable

from chain_client.gate.emergency import Emergency
from chain_client.gate.emergency_files import EmergencyState, RaiseAlarm
from chain_client.gate.gate import Gate
from chain_client.ledger.base import Call
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.registry.typed_data import hash_summary
from chain_client.sync.timeline import TargetKey

Send = Callable[[Call, str], object]
"""Sends a call, told what it is for, and waits for its block."""


def bring_emergencies(
    gate: Gate, contract: ModelRegistryContract, send: Send, raise_alarm: RaiseAlarm
) -> list[str]:
    """Send what is pending, in order; what the chain has already is not sent again.

    Returns:
        hex of the ids of those that the chain has now.

    Raises:
        Unavailable: the chain does not answer.
        TransactionFailed: one could not be sent; it stays pending.
    """

    def submit(emergency: Emergency) -> object:
        return send(_call(contract, emergency), "emergency")

    settled = gate.submit_pending(submit, raise_alarm)
    return [s.emergency.id for s in settled if s.state is EmergencyState.SUBMITTED]


def pending_targets(gate: Gate) -> set[TargetKey]:
    """Targets that hosts may hold otherwise than the chain for now."""
    documents = [stored.emergency.document for stored in gate.pending_emergencies()]
    return {(document.model_id, document.target_id) for document in documents}


def _call(contract: ModelRegistryContract, emergency: Emergency) -> Call:
    document = emergency.document
    approvers = [signer for signer, _ in emergency.signatures]
    signatures = [signature for _, signature in emergency.signatures]
    terms = (document.sequence, document.deadline_s, hash_summary(document.summary))
    if document.former is None:
        return contract.remove_call(
            document.model_id, document.target_id, *terms, approvers, signatures
        )
    return contract.rollback_call(document.former.fields, *terms, approvers, signatures)
