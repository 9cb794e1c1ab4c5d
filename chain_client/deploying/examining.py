"""What a network's endpoints and the home's keys are like: for `mlops-chain doctor`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from chain_client.config import Settings
from chain_client.deploying.owner import find_address
from chain_client.deploying.plan import make_stocks, show_wei
from chain_client.errors import ConfigurationError, HistoryMissing
from chain_client.home import OWNER_KEY, Home
from chain_client.ledger import Call, Ledger, open_ledger
from chain_client.ledger.deployment import Deployment, check_deployment
from chain_client.ledger.event_log import EventLogContract
from chain_client.ledger.model_registry import (
    ADMIN_ROLE,
    REGISTRAR_ROLE,
    ModelRegistryContract,
)
from chain_client.ledger.timelock import PROPOSER_ROLE, TimelockContract
from chain_client.types import Address, to_hex

_GWEI = 10**9
_SLOW_S = 2.0
_LAG_S = 3600
"""A finalized block that is older than this: the chain finds no finality, or the node is stuck."""
_LONG_AGO = 10_000
"""So many blocks ago; a node that is no archive keeps the state of a hundred or so."""
_NOBODY = Address(bytes(19) + b"\1")


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """How one endpoint does.

    Args:
        url: host only.
        chain_id: the chain that it is of.
        latency_s: the middle one of three answers.
        fee_wei: most that a unit of gas would be offered.
        is_legacy: the chain has no EIP-1559.
        block_number: its newest block.
        lag_blocks: by so many blocks the final one is behind.
        lag_s: and by so many seconds.
        is_archive: whether it knows the state of the block in which the log was opened; of one
            long ago, if nothing is deployed yet.
        is_deployed: whether the home's contracts were looked at.
    """

    url: str
    chain_id: int
    latency_s: float
    fee_wei: int
    is_legacy: bool
    block_number: int
    lag_blocks: int
    lag_s: int
    is_archive: bool
    is_deployed: bool = True

    @property
    def is_slow(self) -> bool:
        """Whether it hampers what is waited for."""
        return self.latency_s > _SLOW_S or self.lag_s > _LAG_S

    def describe(self) -> str:
        """In a line."""
        kind = "gas price" if self.is_legacy else "fee up to"
        fee = f"{kind} {self.fee_wei / _GWEI:.4g} gwei" if self.fee_wei else "gas is free"
        archive = (
            "keeps history"
            if self.is_archive
            else "keeps no history: verify needs an archive for what is older"
        )
        contracts = "contracts whole, " if self.is_deployed else ""
        return (
            f"chain {self.chain_id} at block {self.block_number}, answers in "
            f"{self.latency_s * 1000:.0f} ms, {fee}, final "
            f"{self.lag_blocks} blocks ({self.lag_s} s) behind, {contracts}{archive}"
        )


def endpoint_urls(settings: Settings) -> list[str]:
    """Each endpoint of `ledger.url`, as it is configured: it may hold a key."""
    return [url.strip() for url in settings.ledger_url.split(",") if url.strip()]


def examine_endpoint(settings: Settings, deployment: Deployment | None, url: str) -> EndpointReport:
    """Ask one endpoint alone.

    Args:
        settings: of the home.
        deployment: of the home; None if nothing is deployed yet.
        url: of the endpoint.

    Raises:
        ConfigurationError: it is another chain's, or lacks a contract of ours.
        LedgerUnavailable: it does not answer.
    """
    expected = None if deployment is None else deployment.expected()
    ledger = open_ledger(replace(settings, ledger_url=url), expected=expected)
    try:
        if deployment is not None:
            check_deployment(ledger, deployment)
        took = []
        for _ in range(3):
            began = time.monotonic()
            newest = ledger.block()
            took.append(time.monotonic() - began)
        final, fees = ledger.block("finalized"), ledger.fees()
        return EndpointReport(
            url=ledger.url,
            chain_id=ledger.chain_id(),
            latency_s=sorted(took)[1],
            fee_wei=fees.max_fee_wei,
            is_legacy=fees.is_legacy,
            block_number=newest.number,
            lag_blocks=max(newest.number - final.number, 0),
            lag_s=max(newest.timestamp_s - final.timestamp_s, 0),
            is_archive=_keeps_history(ledger, deployment, newest.number),
            is_deployed=deployment is not None,
        )
    finally:
        ledger.close()


def _keeps_history(ledger: Ledger, deployment: Deployment | None, newest: int) -> bool:
    try:
        if deployment is None:
            ledger.call(Call(_NOBODY, b""), at=max(newest - _LONG_AGO, 0))
        else:
            contract = EventLogContract(ledger, deployment.event_log)
            contract.head(deployment.log_id, at=deployment.block_number)
    except HistoryMissing:
        return False
    return True


def find_wrong_keys(
    settings: Settings, deployment: Deployment, ledger: Ledger, *, anchors: bool
) -> Iterator[str]:
    """Keys of the home that have not the right they are for, in words.

    Args:
        settings: of the home.
        deployment: of the home.
        ledger: the chain.
        anchors: whether this home's relay anchors.

    Raises:
        ConfigurationError: a key can't be read.
        LedgerUnavailable: the chain does not answer.
    """
    home = Home(settings.home)
    event_log = EventLogContract(ledger, deployment.event_log)
    writer = find_address(home, settings.log_writer) if anchors else None
    if writer is not None:
        allowed = event_log.log(deployment.log_id).writer
        if allowed != writer:
            who = "nobody (the log is closed)" if allowed is None else to_hex(allowed)
            yield (
                f"{settings.log_writer.removeprefix('keystore:')} is {to_hex(writer)}, but {who} "
                "may anchor: put that key back, or let the owner rotate the writer"
            )
    owner = find_address(home, OWNER_KEY)
    if owner is not None and event_log.owner() != owner:
        yield f"keys/owner.json is {to_hex(owner)}, but {to_hex(event_log.owner())} owns EventLog"
    if deployment.registry is None:
        return
    registry = ModelRegistryContract(ledger, deployment.registry)
    registrar = find_address(home, settings.registry_registrar)
    if registrar is not None and not registry.has_role(REGISTRAR_ROLE, registrar):
        yield (
            f"the registrar's key {to_hex(registrar)} has not the role registrar: let an admin "
            f"grant it (mlops-chain role grant registrar {to_hex(registrar)})"
        )
    if owner is not None and not _administers(ledger, deployment, registry, owner):
        yield f"keys/owner.json {to_hex(owner)} neither administers the registry nor proposes to it"


def _administers(
    ledger: Ledger, deployment: Deployment, registry: ModelRegistryContract, owner: Address
) -> bool:
    if deployment.timelock is None:
        return registry.has_role(ADMIN_ROLE, owner)
    return TimelockContract(ledger, deployment.timelock).has_role(PROPOSER_ROLE, owner)


def examine_balances(settings: Settings, ledger: Ledger, *, anchors: bool) -> tuple[bool, str]:
    """Whether the keys of the home can pay, and what they have.

    Args:
        settings: of the home.
        ledger: the chain.
        anchors: whether this home's relay anchors.

    Returns:
        whether one has too little, and all in words, a line each.

    Raises:
        ConfigurationError: a key can't be read.
        LedgerUnavailable: the chain does not answer.
    """
    home, fee_wei = Home(settings.home), ledger.fees().max_fee_wei
    lacking = False
    texts: list[str] = []
    for stock in make_stocks(settings, fee_wei):
        try:
            address = find_address(home, stock.key)
        except ConfigurationError as exc:
            lacking, texts = True, [*texts, f"{stock.role}: {exc}"]
            continue
        if address is None or (stock.key == settings.log_writer and not anchors):
            continue
        balance_wei = ledger.balance_wei(address)
        text = f"{stock.role} {to_hex(address)} has {show_wei(balance_wei)}"
        if balance_wei < stock.least_wei:
            lacking = True
            text += f", needs {show_wei(stock.least_wei)} for {stock.purpose}: send it more"
        texts.append(text)
    return lacking, "\n".join(texts) or "no key of this home pays for anything"
