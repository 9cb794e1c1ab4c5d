"""What anvil and hardhat say now, when they are provoked, is what the corpus says they do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chain_client.ledger.jsonrpc.replies import classify_read, classify_send
from tests.provoked_replies import (
    RICH,
    Provoked,
    Refusal,
    provoke,
    provoke_old_fork,
    provoke_pruned,
)
from tests.running_nodes import running_anvil, running_hardhat

CORPUS = tomllib.loads((Path(__file__).parent / "replies_corpus.toml").read_text("utf-8"))
ACCEPTED_BY_ALL = {"legacy transaction", "EIP-1559 transaction", "pending", "nonce ahead, queued"}


@pytest.fixture(scope="module", params=["anvil", "hardhat"])
def asked(request: pytest.FixtureRequest) -> Iterator[Provoked]:
    running = running_anvil if request.param == "anvil" else running_hardhat
    with running(funded=[RICH.address()]) as node:
        yield provoke(node)


def without_numbers(text: str) -> str:
    return re.sub(r"0x[0-9a-f]+|\d+", "#", text)


def verdict_of(refusal: Refusal) -> Any:
    classify: Any = classify_send if refusal.is_send else classify_read
    more = {} if refusal.is_send else {"names_tag": refusal.names_tag}
    return classify(
        refusal.code,
        refusal.message,
        refusal.http_status,
        refusal.version,
        data=refusal.data,
        **more,
    )


def check(refusals: list[Refusal]) -> None:
    recorded = {
        (line["client"], without_numbers(line["text"]))
        for line in CORPUS["replies"]
        if line["standing"] == "observed"
    }
    for refusal in refusals:
        verdict = verdict_of(refusal)
        assert verdict.kind == refusal.expected, refusal
        if verdict.kind == "reverted":
            assert verdict.revert_data == refusal.revert_data, refusal
        assert (refusal.client, without_numbers(refusal.message)) in recorded, (
            f"{refusal.client} says something new: see `python -m tests.provoked_replies`"
        )


def test_every_refusal_is_understood(asked: Provoked) -> None:
    assert len(asked.refusals) > 25
    check(asked.refusals)


def test_transactions_of_both_types_are_taken(asked: Provoked) -> None:
    assert set(asked.accepted) >= ACCEPTED_BY_ALL
    assert asked.mined["legacy transaction"] == "0x0"
    assert asked.mined["EIP-1559 transaction"] == "0x2"


def test_a_pruned_state_is_told_from_a_block_to_come() -> None:
    with running_anvil("--prune-history", "1", funded=[RICH.address()]) as node:
        pruned = Provoked(node)
        provoke_pruned(pruned)
    assert len(pruned.refusals) == 2
    check(pruned.refusals)


def test_a_node_without_finality_does_not_know_the_tag() -> None:
    with running_hardhat(hardfork="berlin") as node:
        old = Provoked(node)
        provoke_old_fork(old)
    assert [refusal.expected for refusal in old.refusals] == ["tag_unknown", "other"]
    check(old.refusals)
