"""`Syncer`: one pass reads the chain, promotes what is approved, and makes hosts equal to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from chain_client.config import Settings
from chain_client.errors import ChainError, ConfigurationError, InvalidInput
from chain_client.gate.gate import Gate
from chain_client.gate.sealed_file import Seal
from chain_client.home import Home
from chain_client.hosts import Governs, Host
from chain_client.ledger.base import Block, BlockTag, Call, Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.model_registry import ModelRegistryContract, explain
from chain_client.ledger.model_registry_values import ProposalFields
from chain_client.log import Log
from chain_client.registry.checking import judge_proposal
from chain_client.registry.documents import NameBook, Records
from chain_client.registry.identity import Salt, read_salt
from chain_client.registry.sending import Sender, purpose_of
from chain_client.registry.texts import TextVerdict
from chain_client.registry.users import bindings, to_names
from chain_client.signing import open_signer
from chain_client.sync.emergencies import bring_emergencies, pending_targets
from chain_client.sync.hosting import Pass, make_equal
from chain_client.sync.plan import count_foreign
from chain_client.sync.promoting import promote_ready
from chain_client.sync.reading import TimelineReader
from chain_client.sync.report import SyncReport
from chain_client.sync.state import SyncState, SyncStateFile
from chain_client.sync.timeline import Timeline
from chain_client.transactions import TransactionLimits
from chain_client.types import Digest, to_hex

_logger = logging.getLogger(__name__)

ALARM = "sync"
"""Kind of the alarms about what could not be made equal; they end by themselves."""
_RETRY_S = 15.0
_EMBEDDED = "embedded:"


class Syncer:
    """Makes the databases of a home equal to its registry.

    Guarantee: a pass that finds nothing to do writes nothing; one that dies at any point is made
    good by the next; what can't be done is reported, alarmed, and stops nothing else. One thread
    at a time uses it. Several processes may run passes at once: each write goes through the
    gate's own lock, and a promotion that another was faster with is success.

    Args:
        settings: of the home.
        deployment: of the home; with a registry.
        ledger: the chain; used by this object's thread alone, and closed with it.
        log: the home's log.
        load_host: gives adapters by name.
        records: gives the recorder of this process.

    Raises:
        ConfigurationError: the deployment has no registry.
    """

    def __init__(
        self,
        settings: Settings,
        deployment: Deployment,
        ledger: Ledger,
        log: Log,
        load_host: Callable[[str], Host],
        records: Callable[[], Records],
    ) -> None:
        if deployment.registry is None:
            raise ConfigurationError("this home has no registry yet: run `mlops-chain init`")
        self._settings = settings
        self._deployment = deployment
        self._registry = deployment.registry
        self._ledger = ledger
        self._log = log
        self._load_host = load_host
        self._records = records
        self._home = Home(settings.home)
        self._contract = ModelRegistryContract(ledger, deployment.registry)
        self._sender = Sender(
            log,
            ledger,
            deployment.chain_id,
            limits=TransactionLimits.from_settings(settings),
            exclusive=(settings.registry_submitter,),
        )
        self._gate = Gate(settings, deployment, ledger)
        self._file = SyncStateFile(
            self._home.path / "gate" / "synced.json", Seal(self._home.gate_seal)
        )
        self._newest = self._reader()
        # An embedded block is final, so that one reading does for both.
        is_final = settings.ledger_url.startswith(_EMBEDDED)
        self._at = cast("BlockTag", "latest" if is_final else settings.gate_finality)
        self._final = self._newest if self._at == "latest" else self._reader()
        self._state: SyncState | None = None
        self._read_state = False

    def close(self) -> None:
        """Release the chain."""
        self._ledger.close()

    def is_wanted(self, *, at_once: bool = False) -> bool:
        """Whether anything happened on chain since the last pass, or it is time to try again.

        What was signed while the chain was away is a reason, too, once it answers. Costs one small
        question to the chain when nothing happened, and imports no adapter.

        Args:
            at_once: try what failed again, also before its time.

        Raises:
            LedgerUnavailable: the chain does not answer.
            ConfigurationError: the salt can't be read.
        """
        state = self._known_state()
        if state is None or (at_once and state.is_failed):
            return True
        if state.again_s is not None and time.time() >= state.again_s:
            return True
        if state.awaits is not None and self._ledger.block(self._at).number >= state.awaits:
            return True
        newest = self._ledger.block()
        if not state.is_failed and self._gate.pending_emergencies():
            return True
        if newest.hash == state.block_hash:
            return False
        if newest.number <= state.block_number or not self._holds(state):
            return True
        if self._contract.events(state.block_number + 1, newest.number):
            return True
        state.block_number, state.block_hash = newest.number, newest.hash
        return False

    def run(self, *, dry_run: bool = False) -> SyncReport:
        """One pass.

        Args:
            dry_run: only say what would be done.

        Raises:
            LedgerUnavailable: the chain does not answer.
            LogUnavailable: the log does not answer.
            ConfigurationError: the salt or the submitter's key can't be read.
        """
        salt = self._salt()
        salt.check(self._contract.salt_hash())
        report = SyncReport()
        block = self._promote(report, dry_run=dry_run)
        final, _ = self._final.advance(self._at)
        self._gate.refresh()  # so that its snapshot is young when the chain is gone
        report.block_number = final.number
        timeline = self._final.timeline
        state = self._known_state()
        done = {} if state is None else dict(state.sequences)
        if timeline.state.successor is not None:
            report.fail("registry", f"it was succeeded by {to_hex(timeline.state.successor)}")
        elif timeline.changes or timeline.open():
            self._make_equal(salt, timeline, done, report, dry_run=dry_run)
        if not dry_run:
            self._keep(block, final, done, report)
            self._tell(report)
        return report

    def _promote(self, report: SyncReport, *, dry_run: bool) -> Block:
        """What only the registry is concerned with: emergencies first, then promotions."""
        block, _ = self._newest.advance("latest")
        if not dry_run:
            try:
                alarm = self._log.raise_alarm
                if bring_emergencies(self._gate, self._contract, self._send, alarm):
                    block, _ = self._newest.advance("latest")
            except ChainError as exc:
                report.fail("emergency", exc)

        def promote(proposal: Digest, fields: ProposalFields) -> None:
            self._send(self._contract.promote_call(fields), "promote")

        salt = self._salt()
        now_s = max(time.time(), block.timestamp_s)

        def judge(proposal: Digest) -> TextVerdict:
            return judge_proposal(self._log, salt, self._ledger, self._deployment, proposal, now_s)

        promote_ready(
            self._newest.timeline,
            self._contract,
            block.timestamp_s,
            promote,
            judge,
            report,
            dry_run=dry_run,
        )
        if report.promoted and not dry_run:
            block, _ = self._newest.advance("latest")
        return block

    def _make_equal(
        self,
        salt: Salt,
        timeline: Timeline,
        done: dict[tuple[bytes, bytes], int],
        report: SyncReport,
        *,
        dry_run: bool,
    ) -> None:
        book = NameBook.read(self._log, salt)
        work = Pass(
            timeline,
            salt,
            self._log,
            book,
            to_names(bindings(self._log, self._deployment)),
            done,
            pending_targets(self._gate),
            self._gate.mode(),
            self._home.path,
            self._records,
            self._log.raise_alarm,
            report,
            dry_run,
        )
        known: set[bytes] = set()
        for binding in self._home.bindings():
            try:
                host = self._load_host(binding.adapter)
                if isinstance(host, Governs):
                    known.update(make_equal(work, host, binding).models)
            except (ChainError, InvalidInput) as exc:
                report.fail(binding.to_shown_uri(), exc)
        report.foreign = count_foreign(timeline, known)

    def _send(self, call: Call, action: str) -> object:
        signer = open_signer(self._settings.registry_submitter, base=self._home.path)
        return self._sender.send(signer, call, purpose_of(action, call), explain)

    def _keep(
        self,
        block: Block,
        final: Block,
        done: dict[tuple[bytes, bytes], int],
        report: SyncReport,
    ) -> None:
        if report.troubles:
            report.look_again(time.time() + _RETRY_S)
        # What happened in blocks that are not final yet is done when they are.
        later = self._contract.events(final.number + 1, block.number)
        report.awaits = min((event.block_number for event in later), default=None)
        self._state = SyncState(
            self._registry,
            block.number,
            block.hash,
            report.due_s,
            report.awaits,
            bool(report.troubles),
            done,
        )
        self._file.write(self._state)

    def _tell(self, report: SyncReport) -> None:
        failed = {t.subject: t.text for t in report.troubles if not t.is_passing}
        for subject, text in failed.items():
            self._log.raise_alarm(ALARM, subject, text)
        for alarm in self._log.alarms():
            if alarm.kind == ALARM and alarm.subject not in failed:
                self._log.clear_alarm(ALARM, alarm.subject)

    def _known_state(self) -> SyncState | None:
        if not self._read_state:
            self._state = self._file.read(self._registry)
            self._read_state = True
        return self._state

    def _holds(self, state: SyncState) -> bool:
        with suppress(InvalidInput):
            return self._ledger.block(state.block_number).hash == state.block_hash
        return False

    def _reader(self) -> TimelineReader:
        first = self._deployment.registry_block or 0
        return TimelineReader(self._ledger, self._contract, first)

    def _salt(self) -> Salt:
        return read_salt(self._home.registry_salt)
