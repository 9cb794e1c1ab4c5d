"""Several endpoints of one chain: which one is asked, and what each is checked for before.

An endpoint is checked, for the chain's id, the code at our contracts and that it has not fallen
behind what was seen, whenever it is first used, comes back, or takes another's place, and at
least once in `CHECK_S`. Before that nothing else is asked of it, and nothing is sent to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from chain_client.clock import Clock
from chain_client.errors import (
    ConfigurationError,
    ContractMissing,
    HistoryMissing,
    InvalidInput,
    LedgerUnavailable,
    WrongChain,
)
from chain_client.forking import ForkableLock
from chain_client.ledger.expected import ExpectedChain, check_code
from chain_client.ledger.jsonrpc.endpoint import (
    Endpoint,
    EndpointFailed,
    HistoryPruned,
    ReadRefused,
)
from chain_client.ledger.jsonrpc.heights import Heights
from chain_client.ledger.jsonrpc.values import MalformedReply, to_bytes, to_small
from chain_client.types import to_hex

_logger = logging.getLogger(__name__)

T = TypeVar("T")

CHECK_S = 60.0
"""An endpoint's chain and contracts are looked at again after so long."""
_LOOK_S = 5.0


class Endpoints:
    """The endpoints of one chain, in the order in which they are configured.

    Args:
        endpoints: at least one.
        expected: what each is checked for; without it all must be of the chain that the first
            one showed.
        clock: for when a check is due.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], expected: ExpectedChain | None, clock: Clock
    ) -> None:
        self.all = list(endpoints)
        self.shown = ",".join(endpoint.shown for endpoint in endpoints)
        self._expected = expected
        self._clock = clock
        self._lock = ForkableLock()
        self._chain_id = None if expected is None else expected.chain_id
        self._current: Endpoint | None = None
        self._checked_us: dict[Endpoint, int] = {}
        self.heights = Heights(clock)
        self._still: set[Endpoint] = set()
        """Those of which it was told that they stand still."""

    def using(self, work: Callable[[Endpoint], T], *, again: bool = True) -> T:
        """Let the best endpoint do some work, and the next one if it fails.

        Args:
            work: asks one endpoint; may be called several times.
            again: whether to go on with the next endpoint also after a request of ``work``
                that the failing one may have taken.

        Raises:
            WrongChain: every endpoint is another chain's.
            ContractMissing: or lacks a contract of ours.
            HistoryMissing: none is the archive that the work needs.
            LedgerUnavailable: none can be used now; the text says why, for each.
        """
        failures: list[LedgerUnavailable | ConfigurationError] = []
        for endpoint in self._in_order():
            try:
                if endpoint is not self._current or self._is_check_due(endpoint):
                    self.check(endpoint)
                    self._see_that_it_moves(endpoint)
                result = self.asking(endpoint, work)
            except (WrongChain, ContractMissing) as exc:
                self.forget(endpoint)
                failures.append(exc)
                continue
            except HistoryPruned as exc:
                failures.append(exc)
                continue
            except EndpointFailed as exc:
                was_checked = endpoint in self._checked_us
                self.forget(endpoint)
                if was_checked and exc.reached and not again:
                    raise
                failures.append(exc)
                continue
            if not any(isinstance(failure, HistoryPruned) for failure in failures):
                self._choose(endpoint)
            return result
        raise _verdict(failures)

    def others(self, than: Endpoint) -> Iterator[Endpoint]:
        """The other endpoints that can be asked now, checked; none that stands still."""
        for endpoint in self.all:
            if endpoint is than or endpoint.is_resting():
                continue
            try:
                if self._is_check_due(endpoint):
                    self.check(endpoint, takes_over=False)
                if self.heights.still_behind(endpoint) is not None:
                    self.look_at_head(endpoint, again_s=_LOOK_S)
            except (LedgerUnavailable, ConfigurationError) as exc:
                self.forget(endpoint)
                _logger.info("not asked for a second look: %s", exc)
                continue
            if self._stands_still(endpoint) is None:
                yield endpoint

    def look_at_head(self, endpoint: Endpoint, *, again_s: float) -> None:
        """Notice an endpoint's head, unless it was looked at less than so long ago.

        Raises:
            EndpointFailed: it gives no answer.
        """
        if self.heights.noticed_s(endpoint) >= again_s:
            self.heights.noticed(endpoint, self.asking(endpoint, _head))

    def _stands_still(self, endpoint: Endpoint) -> str | None:
        """In words, tell it once."""
        text = self.heights.still_behind(endpoint)
        with self._lock.held():
            is_new = text is not None and endpoint not in self._still
            (self._still.discard if text is None else self._still.add)(endpoint)
        if is_new:
            _logger.info("%s %s: it counts as down until it moves", endpoint.shown, text)
        return text

    def _see_that_it_moves(self, endpoint: Endpoint) -> None:
        """Compare an endpoint that has shown no new block for long with the others."""
        if len(self.all) == 1 or self.heights.unmoved_s(endpoint) < CHECK_S:
            return
        for other in self.others(endpoint):
            with suppress(EndpointFailed):
                self.look_at_head(other, again_s=_LOOK_S)
        self.look_at_head(endpoint, again_s=0)  # now that it is known how far the others are
        text = self._stands_still(endpoint)
        if text is not None:
            raise endpoint.failed(text, reached=False)

    def asking(self, endpoint: Endpoint, work: Callable[[Endpoint], T]) -> T:
        """Let one endpoint do some work; what it can't answer becomes a failure of it.

        Raises:
            EndpointFailed: as `Endpoint.read`, or a malformed answer.
        """
        try:
            return work(endpoint)
        except MalformedReply as exc:
            raise endpoint.failed(f"gave an answer that makes no sense: {exc}") from exc
        except ReadRefused as exc:
            text = f"{endpoint.shown} refuses: {exc.verdict.text}"
            is_pruned = exc.verdict.kind == "history_missing"
            raise (HistoryPruned if is_pruned else EndpointFailed)(text, reached=True) from exc

    def check(self, endpoint: Endpoint, *, takes_over: bool = True) -> None:
        """See that an endpoint is of our chain, and has what was seen of it.

        Args:
            endpoint: to check.
            takes_over: what it shows is relied on from now on; else it is only compared with.

        Raises:
            WrongChain: it is of another one.
            ContractMissing: no code, or other code, at a contract's address.
            EndpointFailed: it gives no answer, or lags behind.
        """
        self.asking(endpoint, partial(self._check, takes_over=takes_over))
        with self._lock.held():
            self._checked_us[endpoint] = self._clock.monotonic_us()

    def check_chain_id(self, endpoint: Endpoint) -> int:
        """See that an endpoint is of our chain; the chain's id.

        Raises:
            WrongChain: it is of another one.
            EndpointFailed: it gives no answer.
        """
        chain_id = to_small(endpoint.read("eth_chainId"), "chain id")
        with self._lock.held():
            expected = self._chain_id = chain_id if self._chain_id is None else self._chain_id
        if chain_id != expected:
            raise WrongChain(
                f"the endpoint {endpoint.shown} is of chain {chain_id}, but chain {expected} is "
                "expected: nothing was asked of it or sent to it; check ledger.url"
            )
        return chain_id

    def saw(self, endpoint: Endpoint, block_number: int, *, is_head: bool = True) -> None:
        """Callers are told of a block: for a while, no other endpoint may be behind it.

        An endpoint may go behind what it showed itself: chains are reorganised.
        """
        self.heights.shown(endpoint, block_number, is_head=is_head)

    def lacks(self, endpoint: Endpoint, number: int) -> EndpointFailed | InvalidInput:
        """Why an endpoint does not show a block that was asked for; the error to raise.

        Raises:
            EndpointFailed: it gives no answer.
        """
        newest = _head(endpoint)
        if number <= newest:
            return endpoint.failed(f"does not show block {number}, and is at block {newest}")
        if self.heights.bar(endpoint) >= number:
            return endpoint.failed(f"lags behind: it is at block {newest}, and {number} was seen")
        self.saw(endpoint, newest)
        return InvalidInput(f"the chain has no block {number} yet; the newest is {newest}")

    def seen(self) -> int:
        """The highest block that was shown of late."""
        return self.heights.newest()

    def forget(self, endpoint: Endpoint) -> None:
        """Check an endpoint again before it is used again."""
        with self._lock.held():
            self._checked_us.pop(endpoint, None)

    def close(self) -> None:
        """Close all connections; the next use connects and checks again."""
        with self._lock.held():
            self._checked_us.clear()
            self._still.clear()
        self.heights.clear()
        for endpoint in self.all:
            endpoint.close()

    def _check(self, endpoint: Endpoint, *, takes_over: bool) -> None:
        chain_id = self.check_chain_id(endpoint)
        number = _head(endpoint)
        self.heights.noticed(endpoint, number)
        seen = self.heights.bar(endpoint)
        if takes_over and number < seen:
            raise endpoint.failed(f"lags behind: it is at block {number}, and {seen} was seen")
        for address, code_hash in (self._expected.code_hashes if self._expected else {}).items():
            code = to_bytes(endpoint.read("eth_getCode", to_hex(address), "latest"), "code")
            where = f"{to_hex(address)} on chain {chain_id} ({endpoint.shown})"
            check_code(where, code, code_hash)
        if takes_over:
            self.saw(endpoint, number)

    def _is_check_due(self, endpoint: Endpoint) -> bool:
        checked_us = self._checked_us.get(endpoint)
        return checked_us is None or self._clock.monotonic_us() - checked_us > CHECK_S * 1e6

    def _in_order(self) -> list[Endpoint]:
        """The current one first, and last those that failed just now."""

        def place(endpoint: Endpoint) -> tuple[bool, bool, bool]:
            return (endpoint.must_rest_s() > 0, endpoint.is_resting(), endpoint != self._current)

        return sorted(self.all, key=place)

    def _choose(self, endpoint: Endpoint) -> None:
        if endpoint is not self._current:
            if self._current is not None:
                _logger.warning("the chain is now asked at %s", endpoint.shown)
            self._current = endpoint


def _head(endpoint: Endpoint) -> int:
    return to_small(endpoint.read("eth_blockNumber"), "block number")


def _verdict(
    failures: Sequence[LedgerUnavailable | ConfigurationError],
) -> LedgerUnavailable | ConfigurationError:
    unavailable = [exc for exc in failures if isinstance(exc, LedgerUnavailable)]
    if not unavailable:
        return failures[0]
    if all(isinstance(exc, HistoryPruned) for exc in unavailable):
        return HistoryMissing(
            f"{unavailable[0]}. What is needed here lies in older blocks, which only an archive "
            "node keeps: put the endpoint of one into ledger.url"
        )
    waits: list[Any] = [exc.retry_after_s for exc in unavailable]
    text = "; ".join(str(exc) for exc in failures)
    return LedgerUnavailable(text, None if None in waits else min(waits))
