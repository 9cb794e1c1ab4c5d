"""Whether a chain can run our contracts; asked before anything is sent to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chain_client.deploying.rehearsal import RehearsedStep
from chain_client.errors import (
    CallReverted,
    ConfigurationError,
    LedgerUnavailable,
    TransactionFailed,
)
from chain_client.ledger.base import Call, Ledger
from chain_client.ledger.event_log import CONTRACT
from chain_client.ledger.verification_input import load_verification_input

_CONTROL = bytes.fromhex("60006000f3")  # PUSH1 0 PUSH1 0 RETURN
_GAS_LIMIT = bytes.fromhex("4560005260206000f3")  # the block's gas limit (GASLIMIT), returned
_WORD_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Probe:
    """Init code that only a chain which knows an instruction runs."""

    instruction: str
    eip: int
    fork: str
    init_code: bytes


_PROBES = (
    _Probe("PUSH0", 3855, "shanghai", bytes.fromhex("5f5ff3")),
    _Probe("MCOPY", 5656, "cancun", bytes.fromhex("6000600060005e60006000f3")),
    _Probe("TLOAD", 1153, "cancun", bytes.fromhex("60005c60006000f3")),
)


def check_fitness(ledger: Ledger, steps: Sequence[RehearsedStep]) -> None:
    """See that the chain knows the instructions that our contracts use, and has room for them.

    Args:
        ledger: the chain.
        steps: what is to be sent.

    Raises:
        ConfigurationError: it does not; the text says which EVM version is needed, or how much gas
            a block must hold.
        LedgerUnavailable: the chain does not answer.
    """
    version = load_verification_input(CONTRACT).evm_version
    for probe in _PROBES:
        if not _runs(ledger, probe.init_code):
            raise ConfigurationError(
                f"the chain of {ledger.url} does not know {probe.instruction} (EIP-{probe.eip}, "
                f"since {probe.fork}), but the contracts are compiled for evmVersion {version}: "
                f"activate {version} on the chain, or choose another one"
            )
    room = block_gas_limit(ledger)
    widest = max(steps, key=lambda step: step.gas_limit, default=None)
    if widest is not None and room and widest.gas_limit > room:
        raise ConfigurationError(
            f"a block of {ledger.url} holds {room:,} gas, but to {widest.text} may take "
            f"{widest.gas_limit:,}: raise the chain's block gas limit, or choose another chain"
        )


def block_gas_limit(ledger: Ledger) -> int:
    """How much gas a block holds; 0 if the endpoint does not tell.

    Raises:
        LedgerUnavailable: the chain does not answer.
    """
    try:
        answer = ledger.call(Call(None, _GAS_LIMIT))
    except (CallReverted, TransactionFailed):
        return 0
    return int.from_bytes(answer, "big") if len(answer) == _WORD_BYTES else 0


def _runs(ledger: Ledger, init_code: bytes) -> bool:
    try:
        ledger.call(Call(None, init_code))
    except (CallReverted, TransactionFailed):
        return False
    except LedgerUnavailable:
        # Each client has words of its own for an unknown instruction. If it does run the same
        # question with known ones, then those words meant no.
        ledger.call(Call(None, _CONTROL))
        return False
    return True
