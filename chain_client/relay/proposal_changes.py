"""What became final about proposals since it was told last, with the names of the log."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import astuple, dataclass

from chain_client.clock import Clock
from chain_client.errors import ChainError
from chain_client.ledger.base import Ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.log import Log
from chain_client.notices import ChangeKind, Person, ProposalChange, ReportedChecks
from chain_client.registry import documents
from chain_client.registry.change_book import ChangeBook, ChangeGroup, Position, RawChange
from chain_client.registry.decisions import NAMED_IN_S
from chain_client.registry.identity import Salt
from chain_client.registry.proposals import show_model
from chain_client.registry.summaries import check_summary
from chain_client.registry.users import bindings, to_names
from chain_client.relay.reported_checks import read_checks
from chain_client.types import Address, Digest, to_hex

OLD_S = 600
"""What is older when a log is told of for the first time, is not told."""


@dataclass(frozen=True, slots=True)
class ToldChanges:
    """Changes that are told together, and up to where everything is told then."""

    changes: tuple[ProposalChange, ...]
    cursor: str


class ProposalChanges:
    """Reads the registry again and again; each look reads only what became final since the last.

    Not safe for threads. What nobody has a name for yet, or whose report of checks can't be read
    yet, is held back for a minute: the readable side of a proposal may come to the log from another
    machine.

    Args:
        deployment: with a registry.
        ledger: the chain.
        log: the home's; says what ids stand for.
        salt: the deployment's; confirms it. None: ids stay ids.
        clock: the machine's.
        cursor: what `ToldChanges.cursor` gave last; None where nothing was ever told.
    """

    def __init__(
        self,
        deployment: Deployment,
        ledger: Ledger,
        log: Log,
        salt: Salt | None,
        clock: Clock,
        cursor: str | None,
    ) -> None:
        assert deployment.registry is not None
        self._deployment = deployment
        self._registry = deployment.registry
        self._contract = ModelRegistryContract(ledger, deployment.registry)
        self._ledger = ledger
        self._log = log
        self._salt = salt
        self._clock = clock
        self._after = self._parse(cursor)
        self._next_block = deployment.registry_block or 0
        self._book = ChangeBook()
        self._waiting: deque[ChangeGroup] = deque()
        self._models: dict[Digest, str] = {}
        self._targets: dict[Digest, str] = {}
        self._last: tuple[int, int] = (0, -1)

    def cursor(self) -> str:
        """That everything is told which was read."""
        return self._show(self._book.position)

    @property
    def is_waiting(self) -> bool:
        """Whether something that was read is held back."""
        return bool(self._waiting)

    def read(self) -> None:
        """Read what became final since the last time.

        Raises:
            LedgerUnavailable: the chain does not answer; nothing is lost, read again.
            WrongChain: it is another one.
        """
        # Before the block: what a later block holds is not older than this.
        machine_s = self._clock.time_us() // 1_000_000
        final = self._ledger.block("finalized")
        events = []
        if final.number >= self._next_block:
            events = self._contract.events(self._next_block, final.number)
        numbers = {event.block_number for event in events}
        times = {number: self._ledger.block(number).timestamp_s for number in numbers}
        # Nothing is taken before everything was read: a look that fails is simply repeated.
        if self._after is None:
            self._after = Position(-1, -1, machine_s - OLD_S)
        groups: list[ChangeGroup] = []
        for event in events:
            block, index = self._last
            index = index + 1 if block == event.block_number else 0
            self._last = event.block_number, index
            groups += self._book.take(event, index, times[event.block_number])
        # An embedded chain makes no block while nothing is sent, and deadlines pass all the same.
        is_embedded = self._deployment.ledger_url.startswith("embedded:")
        now_s = max(final.timestamp_s, machine_s) if is_embedded else final.timestamp_s
        groups += self._book.pass_time(now_s, final.number)
        self._waiting.extend(group for group in groups if self._is_new(group))
        self._next_block = max(self._next_block, final.number + 1)
        self._forget_requests_of_broken_glass()

    def next(self) -> ToldChanges | None:
        """What is to be told next; None if nothing is, or not yet.

        Raises:
            LogUnavailable: the log does not answer; nothing is lost.
            LedgerUnavailable: the chain does not; likewise.
        """
        if not self._waiting:
            return None
        group = self._waiting[0]
        if not self._can_be_named(group):
            return None
        checks = [self._checks(change) for change in group.changes]
        is_unclear = any(found is not None and found.obstacle for found in checks)
        if is_unclear and not self._is_old(group):
            return None
        people = to_names(bindings(self._log, self._deployment))
        changes = tuple(
            self._named(change, people, found)
            for change, found in zip(group.changes, checks, strict=True)
        )
        self._waiting.popleft()
        return ToldChanges(changes, self._show(group.position))

    def _is_new(self, group: ChangeGroup) -> bool:
        after = self._after
        assert after is not None
        change = group.changes[0]
        if after.block < 0:
            return change.at_s > after.at_s
        if change.tx_hash is None:
            return change.at_s > after.at_s
        return (group.position.block, group.position.index) > (after.block, after.index)

    def _forget_requests_of_broken_glass(self) -> None:
        """Breaking the glass makes its own proposal; nobody is asked to approve that."""
        broken = {
            (change.record.id, change.tx_hash)
            for group in self._waiting
            for change in group.changes
            if change.kind is ChangeKind.GLASS_BROKEN
        }
        for group in list(self._waiting):
            change = group.changes[0]
            made = change.kind is ChangeKind.PROPOSED
            if made and (change.record.id, change.tx_hash) in broken:
                self._waiting.remove(group)

    # --- names

    def _can_be_named(self, group: ChangeGroup) -> bool:
        if self._has_names(group):
            return True
        self._learn_names(group)
        return self._is_old(group) or self._salt is None or self._has_names(group)

    def _is_old(self, group: ChangeGroup) -> bool:
        """Whether it was waited for long enough what the log lacks of it."""
        youngest = max(change.at_s for change in group.changes)
        return self._clock.time_us() / 1e6 > youngest + NAMED_IN_S

    def _checks(self, change: RawChange) -> ReportedChecks | None:
        now_s = self._clock.time_us() / 1e6
        return read_checks(
            self._log, self._ledger, self._deployment, self._salt, record=change.record, now_s=now_s
        )

    def _has_names(self, group: ChangeGroup) -> bool:
        fields = [change.record.fields for change in group.changes]
        return all(f.model in self._models and f.target in self._targets for f in fields)

    def _learn_names(self, group: ChangeGroup) -> None:
        if self._salt is None:
            return
        book = documents.NameBook.read(self._log, self._salt)
        for change in group.changes:
            document = documents.find_proposal(self._log, change.record.id)
            if document is None:
                continue
            try:
                check_summary(document, self._salt)
            except ChainError:
                continue  # a text that lies; verify names it
            book.add_model(document.names.model)
            book.add_target(document.names.target)
        self._models.update({key: show_model(model) for key, model in book.models.items()})
        self._targets.update({key: str(target) for key, target in book.targets.items()})

    def _named(
        self, change: RawChange, people: dict[Address, str], checks: ReportedChecks | None
    ) -> ProposalChange:
        def person(address: Address) -> Person:
            return Person(address, people.get(address, ""))

        fields, hash_ = change.record.fields, change.reason_hash
        reason = None if hash_ is None else documents.find_reason(self._log, hash_)
        chain_id, deployment = self._deployment.chain_id, self._deployment.deployment_id
        return ProposalChange(
            notice_id=change.to_id(chain_id, self._registry),
            kind=change.kind,
            at_s=change.at_s,
            block_number=change.block_number,
            tx_hash=change.tx_hash,
            deployment_id=deployment,
            chain_id=chain_id,
            registry=self._registry,
            proposal_id=change.record.id,
            model=self._models.get(fields.model, f"model {to_hex(fields.model)}"),
            version=fields.version,
            target=self._targets.get(fields.target, f"target {to_hex(fields.target)}"),
            requester=person(fields.requester),
            actor=None if change.actor is None else person(change.actor),
            approved_by=tuple(map(person, change.approved_by)),
            threshold=change.threshold,
            may_still_approve=tuple(map(person, change.may_still_approve)),
            earliest_s=change.earliest_s,
            deadline_s=fields.deadline_s,
            is_open=change.is_open,
            reason=reason or "",
            checks=checks,
        )

    # --- the cursor's text

    def _show(self, position: Position) -> str:
        return json.dumps([to_hex(self._registry), *astuple(position)])

    def _parse(self, cursor: str | None) -> Position | None:
        """What `_show` gave for this registry; None for another one's, or what is none."""
        try:
            registry, *numbers = json.loads(cursor or "null") or (None,)
        except (ValueError, TypeError):
            return None
        if registry != to_hex(self._registry) or len(numbers) != 3:
            return None
        return Position(*numbers) if all(type(n) is int for n in numbers) else None
