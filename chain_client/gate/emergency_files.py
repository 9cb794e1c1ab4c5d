"""Emergencies that were accepted, in ``<home>/gate/emergency/``, until the chain has them.

One sealed file each. An emergency is recorded before its file is written: what counts at the gate
is in the log as well, flagged for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from chain_client.clock import Clock
from chain_client.errors import ContractReverted
from chain_client.events import Json, Subject
from chain_client.gate.emergency import Emergency, EmergencyRefused, check_emergency
from chain_client.gate.modes import Records
from chain_client.gate.sealed_file import Seal, SealBroken, lock_beside, read_sealed, write_sealed
from chain_client.gate.snapshot import Snapshot
from chain_client.ledger.model_registry_values import Current
from chain_client.registry.documents import note_document
from chain_client.registry.returns import ReturnDocument
from chain_client.types import Address, from_hex, to_hex

_logger = logging.getLogger(__name__)

EMERGENCY_SIGNED = "emergency.signed"
"""Event: enough approvers signed a rollback or removal while the chain could not be reached."""
EMERGENCY_SUBJECT = "emergency"
"""Kind of its subject; the id is the hex of the hash that was signed."""
EMERGENCY_CONFLICT = "emergency_conflict"
"""Kind of the alarm when the chain refuses what was accepted without it."""
KIND = "emergency"


class EmergencyState(StrEnum):
    """What became of an emergency."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    CONFLICT = "conflict"
    """The chain refused it; it stays for people to look at."""


@dataclass(frozen=True, slots=True)
class StoredEmergency:
    """An accepted emergency.

    Args:
        emergency: what was signed, and by whom.
        accepted_us: when, by the local clock.
        state: what became of it.
        detail: why the chain refused it.
    """

    emergency: Emergency
    accepted_us: int
    state: EmergencyState = EmergencyState.PENDING
    detail: str = ""


Submit = Callable[[Emergency], object]
"""Sends an emergency to the registry and waits for it; raises what the chain says."""
RaiseAlarm = Callable[[str, str, str], None]
"""Called with (kind, subject, detail)."""


class EmergencyFiles:
    """The folder; servers, relay and commands share it.

    Args:
        folder: where it is.
        seal: the home's.
        clock: local time.
    """

    def __init__(self, folder: Path, seal: Seal, clock: Clock) -> None:
        self.folder = folder
        self._seal = seal
        self._clock = clock

    def accept(self, emergency: Emergency, snapshot: Snapshot, records: Records) -> StoredEmergency:
        """Check an emergency, record it and keep it for the gate.

        One that is kept already is given back, and not recorded again.

        Args:
            emergency: what was signed, and by whom.
            snapshot: the registry as it was last seen.
            records: the process's recorder.

        Raises:
            EmergencyRefused: it does not count.
            SpoolUnavailable: it can't be recorded.
            HomeNotWritable: it can't be kept.
        """
        with lock_beside(self.folder):
            for stored in self.stored():
                if stored.emergency.id == emergency.id:
                    return stored
            document = emergency.document
            _, current = self._after_pending(snapshot, document.model_id, document.target_id)
            check_emergency(emergency, snapshot, current, self._clock.time_us() / 1e6)
            stored = StoredEmergency(emergency, self._clock.time_us())
            records.note(
                EMERGENCY_SIGNED,
                Subject(document.model.store_id, EMERGENCY_SUBJECT, emergency.id),
                {
                    "return": document.to_json(),
                    "signatures": _signatures_json(emergency),
                    "snapshot_block": snapshot.block.number,
                },
                required=True,
            )
            # Once the chain has it, the gate asks for its text as for any other's.
            note_document(records, document)
            self._write(stored)
            return stored

    def effect(
        self, snapshot: Snapshot, model: bytes, target: bytes
    ) -> tuple[Emergency, Current] | None:
        """What pending emergencies make current for a target; None if there is none that counts."""
        last, current = self._after_pending(snapshot, model, target)
        return None if last is None else (last, current)

    def pending(self) -> list[StoredEmergency]:
        """Those that the chain does not have yet, in the order in which they count."""
        return [stored for stored in self.stored() if stored.state is EmergencyState.PENDING]

    def stored(self) -> Iterator[StoredEmergency]:
        """All that were accepted, in that order; a file that was tampered with is none."""
        try:
            files = sorted(self.folder.glob("*.json"))
        except OSError:
            files = []
        for file in files:
            try:
                body = read_sealed(file, KIND, self._seal)
                if body is not None:
                    yield _from_json(body)
            except (SealBroken, KeyError, TypeError, ValueError) as exc:
                _logger.warning("%s is passed over: %s", file, exc)

    def submit_pending(
        self,
        submit: Submit,
        was_applied: Callable[[ReturnDocument], bool],
        raise_alarm: RaiseAlarm,
    ) -> list[StoredEmergency]:
        """Bring what was accepted to the chain, now that it answers.

        Guarantee: in order; what the chain has already is not sent again; what it refuses stays,
        flagged, with an alarm. Call it from one process at a time, such as the relay.

        Args:
            submit: sends one.
            was_applied: whether the chain has it already.
            raise_alarm: tells people.

        Returns:
            Those whose state changed.

        Raises:
            Unavailable: the chain does not answer; the rest stays pending.
            TransactionFailed: it could not be sent, such as for lack of funds; it stays pending.
        """
        changed = []
        for stored in self.pending():
            document = stored.emergency.document
            try:
                if not was_applied(document):
                    submit(stored.emergency)
                settled = replace(stored, state=EmergencyState.SUBMITTED)
            except ContractReverted as exc:
                settled = replace(stored, state=EmergencyState.CONFLICT, detail=str(exc))
                raise_alarm(
                    EMERGENCY_CONFLICT,
                    f"{document.model.name} {document.target}",
                    "a rollback or removal that was signed while the chain could not be reached "
                    f"was refused by the chain, which is right: {exc}. What MLflow has follows "
                    "the chain again with `mlops-chain sync`",
                )
            self._write(settled)
            changed.append(settled)
        return changed

    def _after_pending(
        self, snapshot: Snapshot, model: bytes, target: bytes
    ) -> tuple[Emergency | None, Current]:
        current = snapshot.current(model, target)
        last: Emergency | None = None
        now_s = self._clock.time_us() / 1e6
        for stored in self.pending():
            emergency = stored.emergency
            if (emergency.document.model_id, emergency.document.target_id) != (model, target):
                continue
            try:
                check_emergency(emergency, snapshot, current, now_s)
            except EmergencyRefused:
                continue
            last, current = emergency, emergency.after(current, snapshot)
        return last, current

    def _write(self, stored: StoredEmergency) -> None:
        name = f"{stored.accepted_us:020d}-{stored.emergency.id[:16]}.json"
        body: dict[str, Json] = {
            "return": stored.emergency.document.to_json(),
            "signatures": _signatures_json(stored.emergency),
            "accepted_us": stored.accepted_us,
            "state": stored.state.value,
            "detail": stored.detail,
        }
        write_sealed(self.folder / name, KIND, body, self._seal)


def _signatures_json(emergency: Emergency) -> list[Json]:
    return [[to_hex(signer), to_hex(signature)] for signer, signature in emergency.signatures]


def _from_json(body: Any) -> StoredEmergency:
    emergency = Emergency(
        ReturnDocument.from_json(body["return"]),
        tuple(
            (Address(from_hex(signer, size=20)), from_hex(signature))
            for signer, signature in body["signatures"]
        ),
    )
    return StoredEmergency(
        emergency,
        body["accepted_us"],
        EmergencyState(body["state"]),
        body["detail"],
    )
