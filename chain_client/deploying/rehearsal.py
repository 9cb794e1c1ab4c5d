"""A whole deployment on a chain that lives for a moment: what each step costs in gas.

The real bytecode runs, so the figures are those of any chain of the same rules.
"""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from chain_client.ledger import EmbeddedLedger, create_embedded, event_log, model_registry, timelock
from chain_client.ledger.deployment import OPEN_LOG_PURPOSE, deploy
from chain_client.ledger.registry_deployment import deploy_registry, hand_to_timelock
from chain_client.log import Log
from chain_client.signing import create_keystore, open_signer
from chain_client.transactions import StoredTransaction, TransactionQueue, key_lease_name
from chain_client.types import Address, Digest

_KEY = "key.json"
_LEASE_S = 600.0
_DONE = {
    "grant:registrar:": "let the registrar register versions",
    "grant:admin:": "let the timelock administer the registry",
    "renounce:": "take that right from the owner's key",
    OPEN_LOG_PURPOSE: "open the log, for its writer's key",
}


@dataclass(frozen=True, slots=True)
class RehearsedStep:
    """One transaction of a deployment.

    Args:
        purpose: what the queue knows it by, without what differs from one deployment to the next.
        text: what it does.
        contract: which contract it deploys; None if it deploys none.
        gas_used: what it used.
        gas_limit: what it may use; so much has to be paid for beforehand.
    """

    purpose: str
    text: str
    contract: str | None
    gas_used: int
    gas_limit: int


@cache
def rehearse(chain_id: int, timelock_delay_s: int | None) -> tuple[RehearsedStep, ...]:
    """Carry out a deployment on a temporary embedded chain, with keys of its own; once a process.

    Args:
        chain_id: of the chain that it is for.
        timelock_delay_s: delay of the timelock; None for a deployment without one.

    Returns:
        every transaction, in order.
    """
    with tempfile.TemporaryDirectory(prefix="mlops-chain-rehearsal-") as name:
        folder = Path(name)
        owner = create_keystore(folder / _KEY)
        chain = folder / "chain.db"
        create_embedded(chain, chain_id=chain_id, funded=(owner,))
        signer = open_signer(f"keystore:{_KEY}", base=folder)
        log, ledger = Log(f"sqlite:///{folder / 'log.db'}"), EmbeddedLedger(chain)
        try:
            log.create()
            lease = log.acquire_lease(key_lease_name(owner), "rehearsal", _LEASE_S)
            queue = TransactionQueue(
                log.engine, ledger, signer, lease=lambda: lease, chain_id=chain_id
            )
            made = deploy(
                folder / "deployment.json",
                ledger=ledger,
                ledger_url=f"embedded:{chain}",
                queue=queue,
                writer=_somebody(),
            )
            made = deploy_registry(
                made,
                ledger=ledger,
                queue=queue,
                salt_hash=Digest(secrets.token_bytes(32)),
                registrar=_somebody(),
            )
            if timelock_delay_s is not None:
                hand_to_timelock(made, ledger=ledger, queue=queue, min_delay_s=timelock_delay_s)
            return tuple(_step(tx) for tx in queue.find("", prefix=True))
        finally:
            ledger.close()
            log.close()


def _somebody() -> Address:
    """Who it is makes no difference to the gas."""
    return Address(secrets.token_bytes(20))


def _step(tx: StoredTransaction) -> RehearsedStep:
    contract = tx.purpose.removeprefix("deploy:")
    if contract in (event_log.CONTRACT, model_registry.CONTRACT, timelock.CONTRACT):
        purpose, text = tx.purpose, f"deploy {contract}"
    else:
        contract = ""
        purpose, text = next(pair for pair in _DONE.items() if tx.purpose.startswith(pair[0]))
    assert tx.gas_used is not None
    return RehearsedStep(purpose, text, contract or None, tx.gas_used, tx.gas_limit)
