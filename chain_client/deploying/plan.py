"""What a deployment will do, cost and need, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from chain_client.config import Settings
from chain_client.deploying.owner import find_address
from chain_client.deploying.rehearsal import RehearsedStep
from chain_client.home import OWNER_KEY, Home
from chain_client.ledger import Ledger
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, to_hex

ANCHOR_GAS = 100_000
"""An anchor with room to spare, as the alarm `low_balance` reckons; measured: 55,000 to 75,000."""
_REGISTER_GAS = 80_000
_SUBMIT_GAS = 200_000
_DECISIONS = 20
_COIN_WEI = 10**18


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A transaction of the deployment.

    Args:
        step: as it was rehearsed.
        address: of the contract that it deploys; None if none, or the owner's key is not made yet.
        done: it is on chain already, from an earlier run.
    """

    step: RehearsedStep
    address: Address | None
    done: bool


@dataclass(frozen=True, slots=True)
class KeyNeed:
    """A key, what it may do, and what it needs to pay for it.

    Args:
        role: such as ``owner``.
        rights: what it may do, in words.
        address: None if it is not made yet.
        least_wei: what it needs.
        purpose: what that pays for.
        balance_wei: what it has; None if there is no address yet.
    """

    role: str
    rights: str
    address: Address | None
    least_wei: int
    purpose: str
    balance_wei: int | None

    @property
    def missing_wei(self) -> int:
        """What has to be sent there."""
        return max(self.least_wei - (self.balance_wei or 0), 0)


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment that is yet to be made, or to be finished.

    Args:
        chain_id: the chain.
        ledger_url: its endpoints, without anything secret.
        timelock_delay_s: how long changes of rights and policies will wait; None for no timelock.
        price_wei: what a unit of gas costs in the next block.
        max_fee_wei: what it may cost at most; so much has to be there.
        steps: every transaction, in order.
        keys: who may do what, and needs how much.
    """

    chain_id: int
    ledger_url: str
    timelock_delay_s: int | None
    price_wei: int
    max_fee_wei: int
    steps: Sequence[PlannedStep]
    keys: Sequence[KeyNeed]

    @property
    def gas(self) -> int:
        """What the steps that are left will use."""
        return sum(one.step.gas_used for one in self.steps if not one.done)

    @property
    def cost_wei(self) -> int:
        """What they will cost at the current price."""
        return self.gas * self.price_wei

    @property
    def short_of_funds(self) -> list[KeyNeed]:
        """Keys that have less than they need, the owner first."""
        return [key for key in self.keys if key.missing_wei]

    def to_json(self) -> dict[str, Any]:
        """For programs; amounts in wei."""
        return {
            "chain_id": self.chain_id,
            "ledger_url": self.ledger_url,
            "timelock_delay_s": self.timelock_delay_s,
            "gas": self.gas,
            "gas_price_wei": self.price_wei,
            "max_fee_wei": self.max_fee_wei,
            "cost_wei": self.cost_wei,
            "steps": [
                {
                    "step": one.step.text,
                    "contract": one.step.contract,
                    "address": one.address and to_hex(one.address),
                    "gas": one.step.gas_used,
                    "gas_limit": one.step.gas_limit,
                    "cost_wei": one.step.gas_used * self.price_wei,
                    "done": one.done,
                }
                for one in self.steps
            ],
            "keys": [
                {
                    "role": key.role,
                    "rights": key.rights,
                    "address": key.address and to_hex(key.address),
                    "needs_wei": key.least_wei,
                    "for": key.purpose,
                    "balance_wei": key.balance_wei,
                    "missing_wei": key.missing_wei,
                }
                for key in self.keys
            ],
        }


def make_plan(
    settings: Settings,
    ledger: Ledger,
    steps: Sequence[RehearsedStep],
    timelock_delay_s: int | None,
    sent: Mapping[str, int],
) -> Plan:
    """What deploying will do and cost now.

    Args:
        settings: of the home.
        ledger: the chain.
        steps: as rehearsed.
        timelock_delay_s: delay of the timelock; None for none.
        sent: nonce of what an earlier run has brought on chain, by the step's purpose.

    Raises:
        ConfigurationError: a key can't be read.
        LedgerUnavailable: the chain does not answer.
    """
    home = Home(settings.home)
    fees = ledger.fees()
    price_wei = fees.max_fee_wei
    if not fees.is_legacy:
        base_wei = ledger.block().base_fee_wei
        price_wei = min(price_wei, base_wei + fees.max_priority_fee_wei)
    owner = find_address(home, OWNER_KEY)
    nonce = 0 if owner is None else ledger.nonce(owner)
    planned = []
    for step in steps:
        done = step.purpose in sent
        at = sent[step.purpose] if done else nonce
        nonce += not done
        address = to_created(owner, at) if step.contract and owner is not None else None
        planned.append(PlannedStep(step, address, done))
    gas = sum(one.step.gas_limit for one in planned if not one.done)
    stocks = [
        _owner_stock(gas, fees.max_fee_wei, timelock_delay_s is not None),
        *make_stocks(settings, fees.max_fee_wei),
    ]
    return Plan(
        chain_id=ledger.chain_id(),
        ledger_url=ledger.url,
        timelock_delay_s=timelock_delay_s,
        price_wei=price_wei,
        max_fee_wei=fees.max_fee_wei,
        steps=planned,
        keys=[_with_balance(home, ledger, stock) for stock in stocks],
    )


@dataclass(frozen=True, slots=True)
class Stock:
    """What a key should have to go on for a while.

    Args:
        key: where it is.
        role: such as ``log writer``.
        rights: what it may do, in words.
        least_wei: what it should have.
        purpose: what that pays for.
    """

    key: str
    role: str
    rights: str
    least_wei: int
    purpose: str


def make_stocks(settings: Settings, fee_wei: int) -> list[Stock]:
    """What the keys that work every day should have.

    Args:
        settings: of the home.
        fee_wei: most that is paid for a unit of gas.
    """
    anchors = settings.relay_alarm_anchors
    return [
        Stock(
            settings.log_writer,
            "log writer",
            "anchors heads",
            anchors * ANCHOR_GAS * fee_wei,
            f"{anchors} anchors",
        ),
        Stock(
            settings.registry_registrar,
            "registrar",
            "registers versions",
            _DECISIONS * _REGISTER_GAS * fee_wei,
            f"{_DECISIONS} versions",
        ),
        Stock(
            settings.registry_submitter,
            "submitter",
            "brings proposals, approvals and promotions; no right of its own",
            _DECISIONS * _SUBMIT_GAS * fee_wei,
            f"{_DECISIONS} promotions",
        ),
    ]


def _owner_stock(gas: int, fee_wei: int, has_timelock: bool) -> Stock:
    does = "proposes to the timelock" if has_timelock else "administers the registry"
    return Stock(OWNER_KEY, "owner", f"owns the EventLog, {does}", gas * fee_wei, "the deployment")


def _with_balance(home: Home, ledger: Ledger, stock: Stock) -> KeyNeed:
    address = find_address(home, stock.key)
    balance_wei = None if address is None else ledger.balance_wei(address)
    return KeyNeed(stock.role, stock.rights, address, stock.least_wei, stock.purpose, balance_wei)


def to_created(sender: Address, nonce: int) -> Address:
    """Where a transaction deploys its contract (CREATE; yellow paper, section 7)."""
    import rlp  # loads pydantic, which most commands need not

    return Address(keccak256(rlp.encode([sender, nonce]))[12:])


def show_wei(wei: int) -> str:
    """An amount in the chain's coin, with six significant digits.

    >>> show_wei(1_234_567_890_000_000)
    '0.00123457'
    """
    return format(Decimal(f"{wei / _COIN_WEI:.6g}"), "f")
