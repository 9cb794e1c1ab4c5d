"""Reads from chain and log what was decided; what is final is read once."""

from __future__ import annotations

import logging

from chain_client.clock import Clock, SystemClock
from chain_client.errors import ChainError
from chain_client.ledger.base import Block, Ledger
from chain_client.ledger.model_registry import ModelRegistryContract
from chain_client.log import Log
from chain_client.registry.decisions import (
    NAMED_IN_S,
    Decision,
    DecisionBook,
    Look,
    Place,
    ripe,
)
from chain_client.registry.documents import NameBook, proposals
from chain_client.registry.identity import Salt
from chain_client.registry.proposals import show_model
from chain_client.types import Digest

_logger = logging.getLogger(__name__)


class DecisionWatch:
    """Looks at a registry again and again; one look reads only what became final since the last.

    Not safe for threads: one looks at a time.

    Args:
        place: chain and registry.
        contract: the registry.
        ledger: the chain.
        first_block: of the registry.
        log: the home's; says what ids stand for.
        salt: the deployment's; confirms it. None: ids stay ids.
        clock: the machine's.
    """

    def __init__(
        self,
        place: Place,
        contract: ModelRegistryContract,
        ledger: Ledger,
        first_block: int,
        log: Log,
        salt: Salt | None,
        clock: Clock | None = None,
    ) -> None:
        self.place = place
        self._contract = contract
        self._ledger = ledger
        self._next_block = first_block
        self._log = log
        self._salt = salt
        self._clock = clock or SystemClock()
        self._book = DecisionBook()
        self._models: dict[Digest, str] = {}
        self._targets: dict[Digest, str] = {}
        self._stay_nameless = 0

    def look(self) -> Look:
        """What was decided up to the newest final block.

        Raises:
            LedgerUnavailable: the chain does not answer.
            WrongChain: it is another one.
        """
        final = self._ledger.block("finalized")
        self._read(final)
        waiting = tuple(self._ripe(final))
        # A copy: whoever has a look keeps it while the next is taken.
        found = tuple(self._book.decisions)
        now_s = self._clock.time_us() / 1e6
        nameless = [decision for decision in (*found, *waiting) if self._is_nameless(decision)]
        # Of what stays nameless for long, the log has no name: it is not read for it again.
        young = any(now_s < decision.at_s + NAMED_IN_S for decision in nameless)
        if nameless and (young or len(nameless) != self._stay_nameless):
            self._learn_names()
            self._stay_nameless = len(nameless)
        return Look(
            self.place,
            final.number,
            now_s,
            found,
            waiting,
            self._book.open,
            dict(self._models),
            dict(self._targets),
        )

    def _read(self, final: Block) -> None:
        if final.number < self._next_block:
            return
        events = self._contract.events(self._next_block, final.number)
        numbers = {event.block_number for event in events}
        times = {number: self._ledger.block(number).timestamp_s for number in numbers}
        # Nothing is taken in before everything was read: a look that fails is simply repeated.
        for event in events:
            self._book.take(event, times[event.block_number])
        self._next_block = final.number + 1

    def _ripe(self, final: Block) -> list[Decision]:
        return [
            ripe(key, fields, final.number, final.timestamp_s)
            for key, fields in self._book.candidates(final.timestamp_s)
            if self._contract.is_promotable(fields, "finalized") is None
        ]

    def _is_nameless(self, decision: Decision) -> bool:
        target = decision.target
        return decision.model not in self._models or (
            target is not None and target not in self._targets
        )

    def _learn_names(self) -> None:
        if self._salt is None:
            return
        try:
            book = NameBook.read(self._log, self._salt)
            for document in proposals(self._log):
                book.add_model(document.names.model)
                book.add_target(document.names.target)
        except ChainError as exc:
            _logger.warning("names of models can't be read now: %s", exc)
            return
        self._models.update({key: show_model(model) for key, model in book.models.items()})
        self._targets.update({key: str(target) for key, target in book.targets.items()})
