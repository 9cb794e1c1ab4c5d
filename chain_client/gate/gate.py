"""`Gate`: the one door to everything in this room."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chain_client.clock import Clock, SystemClock
from chain_client.config import Settings
from chain_client.errors import ConfigurationError, PromotionConflict
from chain_client.events import Actor
from chain_client.gate.decision import decide, needs_files
from chain_client.gate.emergency import combine
from chain_client.gate.emergency_files import (
    EmergencyFiles,
    RaiseAlarm,
    StoredEmergency,
    Submit,
)
from chain_client.gate.modes import (
    Records,
    check_start,
    effective_mode,
    note_mode,
    note_would_block,
)
from chain_client.gate.question import (
    Action,
    Allowed,
    Change,
    Code,
    Decision,
    FilesCheck,
    Mode,
    ModelReading,
    Refused,
    TargetReading,
    Trouble,
)
from chain_client.gate.registry_of_home import RegistryOfHome
from chain_client.gate.sealed_file import Seal
from chain_client.gate.signed_text import SignedText
from chain_client.gate.snapshot import Snapshot
from chain_client.home import Home
from chain_client.hosts import ModelIncarnation
from chain_client.registry.identity import digest_commitment, model_id, target_id
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.statements import SignedStatement
from chain_client.registry.texts import TextVerdict
from chain_client.registry.typed_data import hash_summary

if TYPE_CHECKING:
    from chain_client.ledger.base import Ledger
    from chain_client.ledger.deployment_file import Deployment

_logger = logging.getLogger(__name__)

_MOST_TEXTS = 10_000
"""How many texts that were true are kept in mind."""

_UNNAMED = Trouble(
    Code.REGISTRY_UNNAMED,
    "the home had a registry, and its deployment.json names none",
)
_SALT = "the registry's salt is missing in the home, or is not the registry's"


class Gate:
    """Says of each change of the host whether it agrees with the chain; writes nothing there.

    Guarantee: it fails closed. Where it can't tell whether something is gated, or what is
    approved, it refuses. Threads and forked children may share an instance; the constructor does
    no I/O.

    Args:
        settings: of the home.
        deployment: of the home; its file is looked at again when it changes.
        ledger: the chain.
        clock: local time.
    """

    def __init__(
        self,
        settings: Settings,
        deployment: Deployment,
        ledger: Ledger,
        clock: Clock | None = None,
    ) -> None:
        self._setting = settings.gate_mode
        self._home = settings.home
        chosen = clock or SystemClock()
        self._registry = RegistryOfHome(settings, deployment, ledger, chosen)
        self._emergencies = EmergencyFiles(
            settings.home / "gate" / "emergency", Seal(Home(settings.home).gate_seal), chosen
        )
        self._true_texts: set[SignedText] = set()

    def mode(self) -> Mode:
        """The mode in force now."""
        return self._look()[0]

    def gates_anything(self) -> bool | None:
        """Whether any policy is on chain; None where nobody can tell now."""
        found = self.refresh()
        if found is None:
            return False
        snapshot = self._registry.remembered() if isinstance(found, Trouble) else found
        return None if snapshot is None else bool(snapshot.policies)

    def refresh(self) -> Snapshot | Trouble | None:
        """The registry as it is now, kept for when the chain is gone; None if there is none.

        Relay and sync call it, so that the snapshot is young when it is needed.
        """
        chain = self._registry.chain()
        if chain is not None:
            return chain.read()
        return _UNNAMED if self._registry.is_unnamed() else None

    def check(
        self,
        model: ModelIncarnation,
        change: Change,
        files: Callable[[], FilesCheck],
        text: Callable[[SignedText], TextVerdict],
    ) -> Decision:
        """Whether an alias or stage may be given to, or taken from, a version.

        Args:
            model: as the host has it now.
            change: SET or LEAVE.
            files: looks at the version's files; called only where the answer depends on it.
            text: looks for the text that approvers signed, likewise; what was true stays so, and
                is not asked again.
        """
        mode, seen = self._look()
        if mode is Mode.OFF or seen is None:
            return Allowed(is_gated=False)
        if seen is _UNNAMED:
            return decide(mode, _UNNAMED, change)
        try:
            mid, tid = self._ids(model, change.target)
        except ConfigurationError:
            return decide(mode, Trouble(Code.SALT_WRONG, _SALT), change)
        if isinstance(seen, Snapshot):
            chain = self._registry.chain()
            assert chain is not None
            reading = chain.target_in(seen, mid, tid)
            if isinstance(reading, TargetReading):
                return self._decide(mode, reading, change, mid, files, text)
            seen = reading
        return self._without_chain(mode, seen, change, (mid, tid), files, text)

    def check_model(
        self, model: ModelIncarnation, change: Change, held: Sequence[str] = ()
    ) -> Decision:
        """Whether a model, or a version of it, may be renamed, moved or deleted.

        Args:
            model: as the host has it now.
            change: RENAME, DELETE or DELETE_VERSION.
            held: aliases and stages that versions of the model have now; needed for RENAME.
        """
        mode, seen = self._look()
        if mode is Mode.OFF or seen is None:
            return Allowed(is_gated=False)
        if seen is _UNNAMED:
            return decide(mode, _UNNAMED, change)
        try:
            mid = self._model_id(model)
            gated = {target: target_id(self._registry.salt(), target) for target in held}
        except ConfigurationError:
            return decide(mode, Trouble(Code.SALT_WRONG, _SALT), change)
        if isinstance(seen, Trouble):
            known = self._registry.remembered()
            return decide(
                mode, replace(seen, is_gated=None if known is None else known.may_gate(mid)), change
            )
        reading = ModelReading(
            seen.versions_in_use(mid),
            seen.versions_proposed(mid),
            seen.has_own_policy(mid),
            tuple(target for target, tid in gated.items() if seen.policy_of(mid, tid)),
            seen.block.number,
        )
        return decide(mode, reading, change)

    def target(self, model: ModelIncarnation, target: str) -> TargetReading | Trouble | None:
        """What the chain says of a target now, such as its sequence; None without a registry."""
        chain = self._registry.chain()
        if chain is None:
            return _UNNAMED if self._registry.is_unnamed() else None
        try:
            mid, tid = self._ids(model, target)
        except ConfigurationError:
            return Trouble(Code.SALT_WRONG, _SALT)
        return chain.target(mid, tid)

    def check_start(self) -> None:
        """See that a server may start.

        Raises:
            ConfigurationError: it is told to enforce, and no default policy is on chain.
        """
        if self._setting != Mode.ENFORCE:
            return
        found = self.refresh()
        known = self._registry.remembered() if isinstance(found, Trouble) else found
        is_known = not isinstance(found, Trouble) or known is not None
        has_default = known is not None and known.has_default_policy
        check_start(self._setting, has_default if is_known else None)

    def note_mode(self, records: Records, store_id: str) -> None:
        """Record once per process, store and mode in which mode a store was opened.

        Raises:
            SpoolUnavailable: it can't be recorded.
        """
        home = str(self._home)
        note_mode(records, home, store_id, self._setting, self.mode())

    def note_would_block(
        self, records: Records, store_id: str, change: Change, refusal: Refused, actor: Actor
    ) -> None:
        """Record a change that passes only because the gate warns.

        Raises:
            SpoolUnavailable: it can't be recorded.
        """
        note_would_block(records, store_id, change, refusal, actor)

    def accept_emergency(
        self, statements: Iterable[SignedStatement], records: Records
    ) -> StoredEmergency:
        """Let a rollback or removal count that enough approvers signed, while there is no chain.

        Raises:
            PromotionConflict: the chain answers, or there is no snapshot to check against.
            EmergencyRefused: it does not count; ``flaw`` says why.
            PromotionDenied: the files are not about one thing, or not signed.
            SummaryMismatch: the text that was signed does not say what the fields say.
            SpoolUnavailable: it can't be recorded.
        """
        from chain_client.registry.summaries import check_return_summary

        found = self.refresh()
        if not isinstance(found, Trouble):
            raise PromotionConflict(
                "the chain answers: submit the signed files with `mlops-chain model rollback`"
            )
        if found.code is not Code.CHAIN_UNREACHABLE:
            raise PromotionConflict(f"{found.text}; signed files don't help against that")
        snapshot = self._registry.remembered()
        if snapshot is None:
            raise PromotionConflict(
                "nothing here says what was current and who may sign: there is no snapshot that "
                "can be trusted"
            )
        emergency = combine(statements)
        check_return_summary(emergency.document, self._registry.salt())
        return self._emergencies.accept(emergency, snapshot, records)

    def last_seen(self) -> Snapshot | None:
        """The registry as it was last seen, without asking the chain; None if nothing is known."""
        return self._registry.remembered()

    def pending_emergencies(self) -> list[StoredEmergency]:
        """What was accepted without the chain, and is not on it yet."""
        return self._emergencies.pending()

    def submit_pending(self, submit: Submit, raise_alarm: RaiseAlarm) -> list[StoredEmergency]:
        """Bring accepted emergencies to the chain, if it answers; see `EmergencyFiles`."""
        if not self._emergencies.pending() or not isinstance(self.refresh(), Snapshot):
            return []
        return self._emergencies.submit_pending(submit, self._was_applied, raise_alarm)

    def _look(self) -> tuple[Mode, Snapshot | Trouble | None]:
        setting = self._setting
        found = None if setting == Mode.OFF else self.refresh()
        if found is None:
            return Mode.OFF, None
        known = self._registry.remembered() if isinstance(found, Trouble) else found
        return effective_mode(setting, None if known is None else bool(known.policies)), found

    def _decide(
        self,
        mode: Mode,
        reading: TargetReading,
        change: Change,
        mid: bytes,
        files: Callable[[], FilesCheck],
        text: Callable[[SignedText], TextVerdict],
        emergency: str | None = None,
    ) -> Decision:
        seen, verdict = None, None
        if needs_files(mode, reading, change):
            seen = files()
            verdict = self._judge(reading.signed, text)
        commitment = None
        if seen is not None and seen.digest is not None:
            commitment = digest_commitment(self._registry.salt(), mid, change.version, seen.digest)
        return decide(mode, reading, change, seen, commitment, emergency, verdict)

    def _judge(
        self, signed: SignedText | None, text: Callable[[SignedText], TextVerdict]
    ) -> TextVerdict | None:
        if signed is None:
            return None
        if signed in self._true_texts:
            return TextVerdict.TRUE
        verdict = text(signed)
        if verdict is TextVerdict.TRUE:
            if len(self._true_texts) >= _MOST_TEXTS:
                self._true_texts.clear()
            self._true_texts.add(signed)
        return verdict

    def _without_chain(
        self,
        mode: Mode,
        trouble: Trouble,
        change: Change,
        ids: tuple[bytes, bytes],
        files: Callable[[], FilesCheck],
        text: Callable[[SignedText], TextVerdict],
    ) -> Decision:
        known = self._registry.remembered()
        if known is None:
            return decide(mode, trouble, change)
        policy = known.policy_of(*ids)
        if policy is not None and trouble.code is Code.CHAIN_UNREACHABLE:
            effect = self._emergencies.effect(known, *ids)
            if effect is not None and _agrees(change, effect[1].version):
                emergency, current = effect
                reading = TargetReading(
                    policy, current, known.is_paused, known.successor, known.block.number
                )
                return self._decide(mode, reading, change, ids[0], files, text, emergency.id)
        return decide(mode, replace(trouble, is_gated=policy is not None), change)

    def _ids(self, model: ModelIncarnation, target: str) -> tuple[bytes, bytes]:
        return self._model_id(model), target_id(self._registry.salt(), target)

    def _model_id(self, model: ModelIncarnation) -> bytes:
        return model_id(
            self._registry.salt(), model.store_id, model.workspace, model.name, model.creation_ms
        )

    def _was_applied(self, document: ReturnDocument) -> bool:
        chain = self._registry.chain()
        return chain is not None and chain.has_returned(
            document.model_id, document.target_id, document.sequence, hash_summary(document.summary)
        )


def _agrees(change: Change, current: int) -> bool:
    """Whether a change only does what an emergency says."""
    return change.version == current if change.action is Action.SET else current == 0
