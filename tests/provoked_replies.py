"""Refusals that real nodes give when they are provoked, one by one.

``python -m tests.provoked_replies`` prints them as lines of
``tests/unit/chain_client/ledger/replies_corpus.toml``.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chain_client.signing import TransactionFields, sign_transaction
from chain_client.types import Address, to_hex
from tests.embedded_chains import KeyInMemory
from tests.running_nodes import CHAIN_ID, RunningNode, running_anvil, running_hardhat

GWEI = 10**9
RICH, POOR = KeyInMemory(71), KeyInMemory(72)
NOWHERE = Address(b"\x77" * 20)
ERROR_TEXT = bytes.fromhex(
    "08c379a0" + "20".rjust(64, "0") + "02".rjust(64, "0") + b"no".hex().ljust(64, "0")
)
"""``Error("no")``, as Solidity's ``require`` gives it."""
CUSTOM_ERROR = bytes.fromhex("82b42900") + b"\x11" * 32
PANIC = bytes.fromhex("4e487b71" + "11".rjust(64, "0"))


@dataclass(frozen=True)
class Refusal:
    """What a node answered with.

    Args:
        how: how it was provoked.
        expected: the verdict that is right for it.
        is_send: whether a transaction was sent.
        revert_data: what a contract gave, if one reverted.
        names_tag: a block was asked for by a tag.
    """

    client: str
    version: str
    how: str
    is_send: bool
    expected: str
    http_status: int
    code: int
    message: str
    data: Any
    revert_data: bytes | None = None
    names_tag: bool = False


class Provoked:
    """Asks one node, and keeps its refusals."""

    def __init__(self, node: RunningNode) -> None:
        self.node = node
        self.refusals: list[Refusal] = []
        self.accepted: list[str] = []
        self.mined: dict[str, str] = {}
        self.mines_at_once = True
        self._version = str(node.rpc("web3_clientVersion"))

    def ask(
        self, how: str, expected: str, method: str, *params: object, revert: bytes | None = None
    ) -> Any:
        """Ask, and keep the refusal; returns the result if there is one."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        request = urllib.request.Request(  # noqa: S310 - a node of ours on the loopback interface
            self.node.url, body.encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
                status, answer = reply.status, json.load(reply)
        except urllib.error.HTTPError as exc:
            status, answer = exc.code, json.load(exc)
        if "error" not in answer:
            self.accepted.append(how)
            return answer["result"]
        error = answer["error"]
        is_send = method == "eth_sendRawTransaction"
        self.refusals.append(
            Refusal(
                client=self.node.client,
                version=self._version,
                how=how,
                is_send=is_send,
                expected=expected,
                http_status=status,
                code=error["code"],
                message=error["message"],
                data=error.get("data"),
                revert_data=revert,
                names_tag="tag" in how,
            )
        )
        return None

    def send(
        self,
        how: str,
        expected: str,
        nonce: int,
        *,
        key: KeyInMemory = RICH,
        fee_wei: int = 20 * GWEI,
        gas: int = 50_000,
        to: Address | None = NOWHERE,
        data: bytes = b"",
        chain_id: int = CHAIN_ID,
        is_legacy: bool = False,
        revert: bytes | None = None,
    ) -> Any:
        """Sign and send a transaction, and wait for its block where each gets one at once."""
        tip = fee_wei if is_legacy else min(fee_wei, GWEI)
        fields = TransactionFields(
            chain_id, nonce, fee_wei, tip, gas, to, data, is_legacy=is_legacy
        )
        raw = to_hex(sign_transaction(key, fields).raw)
        found = self.ask(how, expected, "eth_sendRawTransaction", raw, revert=revert)
        # anvil takes a legacy one of another chain, and never mines it
        if found is not None and self.mines_at_once and chain_id == CHAIN_ID:
            self._wait_for(how, found)
        return found

    def _wait_for(self, how: str, tx_hash: str) -> None:
        """See its block: anvil answers before it made it."""
        deadline = time.monotonic() + 20
        while (receipt := self.node.rpc("eth_getTransactionReceipt", tx_hash)) is None:
            assert time.monotonic() < deadline, f"no block took: {how}"
            time.sleep(0.01)
        self.mined[how] = receipt["type"]


def reverting(data: bytes) -> bytes:
    """Init code that reverts with ``data``."""
    size = len(data)
    return bytes([0x60, size, 0x60, 12, 0x60, 0, 0x39, 0x60, size, 0x60, 0, 0xFD]) + data


def provoke_mining_at_once(asked: Provoked) -> None:
    """Sends to a node that mines each transaction at once; `RICH` has used no nonce yet."""
    asked.send("legacy transaction", "accepted", 0, is_legacy=True)
    asked.send("EIP-1559 transaction", "accepted", 1)
    asked.send("sent again after it was mined", "nonce_too_low", 1)
    asked.send("other one at a mined nonce", "nonce_too_low", 0, gas=60_000)
    asked.send("fee below the base fee", "fee_too_low", 2, fee_wei=1)
    asked.send("legacy fee below the base fee", "fee_too_low", 2, fee_wei=1, is_legacy=True)
    code = reverting(ERROR_TEXT)
    asked.send(
        "reverts in its block", "known", 2, to=None, data=code, gas=90_000, revert=ERROR_TEXT
    )
    provoke_everywhere(asked, nonce=3)
    if asked.node.client == "hardhat":  # anvil queues it
        asked.send("nonce ahead", "nonce_gap", 9)


def provoke_everywhere(asked: Provoked, nonce: int) -> None:
    """What every node refuses however it mines; ``nonce``: the next one of `RICH`."""
    asked.send("no funds", "insufficient_funds", 0, key=POOR)
    asked.send("gas below what its bytes cost", "gas_limit", nonce, gas=20_000)
    asked.send("gas above a block's", "gas_limit", nonce, gas=4_000_000_000)
    asked.send("for another chain", "wrong_chain", nonce, chain_id=7)
    asked.send("legacy, for another chain", "wrong_chain", nonce, chain_id=7, is_legacy=True)
    asked.ask("no transaction", "other", "eth_sendRawTransaction", "0x02c0")
    fields = TransactionFields(CHAIN_ID, nonce, 20 * GWEI, 1, 50_000, NOWHERE, b"")
    forged = to_hex(fields.encode_signed(0, 5, 5))
    asked.ask("signature of nobody", "invalid_signature", "eth_sendRawTransaction", forged)


def provoke_without_mining(asked: Provoked) -> None:
    """Sends to a node that mines nothing by itself; `RICH` uses its nonces from here on."""
    asked.node.rpc("evm_setAutomine", False)
    asked.mines_at_once = False
    nonce = int(asked.node.rpc("eth_getTransactionCount", to_hex(RICH.address()), "latest"), 16)
    asked.send("pending", "accepted", nonce)
    asked.send("sent again while it is pending", "known", nonce)
    asked.send("replacement at the same fee", "underpriced", nonce, gas=60_000)
    asked.send("replacement 5 % dearer", "underpriced", nonce, fee_wei=21 * GWEI, gas=60_000)
    asked.send("nonce ahead, queued", "accepted", nonce + 5)
    asked.node.mine()
    asked.send("nonce of before, mining off", "nonce_too_low", nonce, gas=70_000)
    asked.node.rpc("evm_setAutomine", True)


def provoke_reads(asked: Provoked) -> None:
    """Calls, estimates and look-ups that are refused."""
    who = to_hex(RICH.address())
    for name, data in (("text", ERROR_TEXT), ("custom error", CUSTOM_ERROR), ("panic", PANIC)):
        call = {"from": who, "data": to_hex(reverting(data))}
        asked.ask(
            f"call reverts with a {name}", "reverted", "eth_call", call, "latest", revert=data
        )
        asked.ask(
            f"estimate reverts with a {name}", "reverted", "eth_estimateGas", call, revert=data
        )
    silent = {"from": who, "data": to_hex(reverting(b""))}
    asked.ask("call reverts with nothing", "reverted", "eth_call", silent, "latest", revert=b"")
    asked.ask("estimate reverts with nothing", "reverted", "eth_estimateGas", silent, revert=b"")
    invalid = {"from": who, "data": "0xfe"}
    asked.ask("call of an invalid opcode", "reverted", "eth_call", invalid, "latest", revert=b"")
    asked.ask("estimate of an invalid opcode", "reverted", "eth_estimateGas", invalid, revert=b"")
    dear = {"from": to_hex(POOR.address()), "to": to_hex(NOWHERE), "value": "0x1"}
    asked.ask("estimate without funds", "insufficient_funds", "eth_estimateGas", dear)
    ahead = "0xffffff"
    asked.ask("call at a block ahead", "block_missing", "eth_call", dear, ahead)
    asked.ask("balance at a block ahead", "block_missing", "eth_getBalance", who, ahead)
    asked.ask("nonce at a block ahead", "block_missing", "eth_getTransactionCount", who, ahead)
    asked.ask("code at a block ahead", "block_missing", "eth_getCode", who, ahead)
    asked.ask("proof at a block ahead", "block_missing", "eth_getProof", who, [], ahead)
    asked.ask("proof in the latest block", "accepted", "eth_getProof", who, [], "latest")
    for name, span in (("backwards", ("0x2", "0x1")), ("ahead", (ahead, "0xfffffff"))):
        logs = {"fromBlock": span[0], "toBlock": span[1]}
        asked.ask(f"events of blocks {name}", "block_missing", "eth_getLogs", logs)
    asked.ask("block by an unknown tag", "tag_unknown", "eth_getBlockByNumber", "finalised", False)
    if asked.node.client == "anvil":  # hardhat says that it does not know the method
        asked.ask("call at an unknown tag", "tag_unknown", "eth_call", dear, "finalised")
    asked.ask("unknown method", "method_missing", "eth_banana")


def provoke_pruned(asked: Provoked) -> None:
    """Reads of state that an anvil with ``--prune-history 1`` forgot."""
    who = to_hex(RICH.address())
    asked.node.mine(300)
    call = {"to": to_hex(NOWHERE), "data": "0x"}
    asked.ask("balance at a pruned block", "history_missing", "eth_getBalance", who, "0x2")
    asked.ask("call at a pruned block", "history_missing", "eth_call", call, "0x2")


def provoke_old_fork(asked: Provoked) -> None:
    """What a hardhat of the fork Berlin refuses: finality, and EIP-1559."""
    tag = "finalized"
    asked.ask("tag of finality", "tag_unknown", "eth_getBlockByNumber", tag, False)
    asked.send("EIP-1559 before London", "other", 0)


def provoke(node: RunningNode) -> Provoked:
    """All that one node refuses. `RICH` needs funds, and must be new to the chain."""
    asked = Provoked(node)
    provoke_mining_at_once(asked)
    provoke_without_mining(asked)
    provoke_reads(asked)
    return asked


def _lines(asked: Provoked) -> Iterator[str]:
    for one in asked.refusals:
        values = {
            "client": one.client,
            "release": one.version,
            "source": one.how,
            "standing": "observed",
            "asked": "send" if one.is_send else "read",
            "code": one.code,
            "text": one.message,
            "verdict": one.expected,
            "data": None if one.data is None else json.dumps(one.data),
            "http_status": None if one.http_status == 200 else one.http_status,
        }
        shown = (f"{name} = {json.dumps(v)}" for name, v in values.items() if v is not None)
        yield f"  {{ {', '.join(shown)} }},"


def main() -> None:
    """Print what anvil and hardhat refuse now."""
    funded = [RICH.address()]
    with running_anvil(funded=funded) as anvil:
        print("\n".join(_lines(provoke(anvil))))
    with running_anvil("--prune-history", "1", funded=funded) as anvil:
        provoke_pruned(asked := Provoked(anvil))
        print("\n".join(_lines(asked)))
    with running_hardhat(funded=funded) as hardhat:
        print("\n".join(_lines(provoke(hardhat))))
    with running_hardhat(hardfork="berlin") as hardhat:
        provoke_old_fork(asked := Provoked(hardhat))
        print("\n".join(_lines(asked)))


if __name__ == "__main__":
    main()
