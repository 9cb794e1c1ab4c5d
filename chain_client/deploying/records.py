"""What a deployment leaves for people: the address book, and what explorers need.

``<home>/addresses/<chain id>.json`` says which contract stands where and how it came there;
``<home>/verification/`` holds, for each contract, what an explorer asks for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.deploying.owner import Owner
from chain_client.errors import ConfigurationError, HomeNotWritable
from chain_client.home import Home, write_private
from chain_client.ledger import event_log, model_registry, timelock
from chain_client.ledger.artifacts import load_artifact
from chain_client.ledger.base import Call
from chain_client.ledger.deployment import Deployment, find_sent
from chain_client.ledger.verification_input import load_verification_input
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, TxHash, to_hex

SCHEMA_VERSION = 1
CONTRACTS = (event_log.CONTRACT, model_registry.CONTRACT, timelock.CONTRACT)
"""What a deployment may have, in the order in which it is deployed."""


@dataclass(frozen=True, slots=True)
class DeployedContract:
    """A contract, and how it came on chain.

    Args:
        contract: its name, such as ``EventLog``.
        address: where it stands.
        tx_hash: the transaction that deployed it.
        block_number: the final block that holds it.
        code_hash: keccak-256 of its runtime code.
        constructor_arguments: as they were deployed, ABI-encoded.
    """

    contract: str
    address: Address
    tx_hash: TxHash
    block_number: int
    code_hash: Digest
    constructor_arguments: bytes

    def to_json(self) -> dict[str, Any]:
        """As it stands in the address book."""
        return {
            "address": to_hex(self.address),
            "transaction": to_hex(self.tx_hash),
            "block_number": self.block_number,
            "code_hash": to_hex(self.code_hash),
            "constructor_arguments": to_hex(self.constructor_arguments),
        }


def find_deployed(owner: Owner) -> list[DeployedContract]:
    """The contracts that the owner's queue has deployed, as far as they are final.

    Raises:
        LedgerUnavailable: the chain does not answer, or not all is final in time.
    """
    found = []
    for contract in CONTRACTS:
        sent = find_sent(owner.queue, f"deploy:{contract}")
        if not sent:
            continue
        receipt = owner.queue.settle(sent[-1].id, final=True).receipt
        address = receipt.contract_address
        if address is None:
            continue
        found.append(
            DeployedContract(
                contract=contract,
                address=address,
                tx_hash=receipt.tx_hash,
                block_number=receipt.block_number,
                code_hash=Digest(keccak256(owner.ledger.code(address))),
                constructor_arguments=_arguments(owner.queue.call_of(sent[-1].id), contract),
            )
        )
    return found


def _arguments(call: Call, contract: str) -> bytes:
    return call.data[len(load_artifact(contract).bytecode) :]


def address_book(home: Home, chain_id: int) -> Path:
    """Where the address book of a chain is."""
    return home.path / "addresses" / f"{chain_id}.json"


def read_addresses(home: Home, chain_id: int) -> dict[str, str]:
    """Contract and address of each entry of the address book; empty if there is none.

    Raises:
        ConfigurationError: the file is damaged.
    """
    path = address_book(home, chain_id)
    try:
        entries = json.loads(path.read_text("utf-8"))["contracts"]
        return {str(name): str(entry["address"]) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigurationError(
            f"{path} is damaged: put it back from your backup, or move it away"
        ) from exc


def write_records(
    home: Home, deployment: Deployment, contracts: Sequence[DeployedContract]
) -> None:
    """Write the address book and what explorers need; what stands there of others is kept.

    Args:
        home: the home.
        deployment: as it stands now.
        contracts: those that were deployed now.

    Raises:
        ConfigurationError: the address book is damaged.
        HomeNotWritable: a file can't be written.
    """
    path = address_book(home, deployment.chain_id)
    try:
        known = json.loads(path.read_text("utf-8"))["contracts"] if path.exists() else {}
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ConfigurationError(f"{path} is damaged: put it back from your backup") from exc
    content = {
        "schema_version": SCHEMA_VERSION,
        "chain_id": deployment.chain_id,
        "deployment_id": deployment.deployment_id,
        "owner": to_hex(deployment.owner),
        "log_id": to_hex(deployment.log_id),
        "contracts": {**known, **{one.contract: one.to_json() for one in contracts}},
    }
    _write(path, json.dumps(content, indent=2) + "\n")
    for one in contracts:
        given = load_verification_input(one.contract)
        folder = home.path / "verification"
        _write(folder / f"{one.contract}.json", given.to_json(one.constructor_arguments))
        pure = json.dumps(given.standard_json, indent=1) + "\n"
        _write(folder / f"{one.contract}.standard-input.json", pure)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise HomeNotWritable(f"{path} can't be written ({exc.strerror or exc})") from exc
    write_private(path, text)
