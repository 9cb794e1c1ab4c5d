"""Plans from a seed are the same in every run, and every text about them names the seed."""

from __future__ import annotations

import random
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from chain_client.errors import InvalidInput
from chain_client.testing.faulty_node import (
    RECOVERABLE,
    WORDINGS,
    Fault,
    FaultPlan,
    FaultyNode,
    HtmlPage,
    Lagging,
    Passage,
    Refused,
    Response,
    TruncatedJson,
    on,
)
from tests.running_nodes import RunningNode
from tests.unit.chain_client.faulty_node.asking import ask, post, result


def test_a_seed_gives_the_same_plan_and_another_seed_another() -> None:
    plans = [FaultPlan.from_seed(seed) for seed in range(50)]
    assert plans == [FaultPlan.from_seed(seed) for seed in range(50)]
    assert len({plan.rules for plan in plans}) > 40
    assert {len(plan.rules) for plan in plans} == {2}


def test_every_recoverable_kind_is_chosen_by_some_seed() -> None:
    chosen = {type(rule.fault) for seed in range(200) for rule in FaultPlan.from_seed(seed).rules}
    assert chosen == {type(kind.make(random.Random(1))) for kind in RECOVERABLE}


def test_every_text_names_the_seed_and_what_happened(anvil: RunningNode) -> None:
    plan = FaultPlan.from_seed(4711)
    assert "4711" in str(plan)
    with FaultyNode(anvil.url, plan) as node:
        assert "4711" in repr(node)
        node.follow(on("eth_chainId", fault=HtmlPage(503)))
        post(node.url, b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}')
        assert "4711" in repr(node.journal)
        assert "request 1 (eth_chainId): HtmlPage(status=503" in repr(node)
        assert node.journal.injected(HtmlPage) == 1


def test_the_first_rule_is_the_outermost(anvil: RunningNode) -> None:
    with FaultyNode(anvil.url, FaultPlan.of(TruncatedJson(0), Lagging(blocks=1))) as node:
        assert post(node.url, b'{"id":1,"method":"eth_blockNumber"}')[2] == b""
        assert [type(one.fault) for one in node.journal.injections] == [TruncatedJson, Lagging]


def test_a_fault_of_ones_own_is_injected_like_the_others(anvil: RunningNode) -> None:
    @dataclass(frozen=True)
    class Upside(Fault):
        def inject(self, passage: Passage) -> Response:
            return passage.change_answers(lambda call, answer: call.result("down"))

    with FaultyNode(anvil.url, FaultPlan.of(on("eth_chainId", fault=Upside()))) as node:
        assert result(node, "eth_chainId") == "down"
        assert result(node, "eth_chainId") == "0x7a69"


def test_a_fault_that_can_not_be_injected_is_an_error_at_the_end(anvil: RunningNode) -> None:
    plan = FaultPlan.of(Refused("tired"), seed=12)
    with (
        pytest.raises(InvalidInput, match=r"(?s)seed 12.*expected one of already_known"),
        FaultyNode(anvil.url, plan) as node,
        pytest.raises(ConnectionError),
    ):
        ask(node, "eth_sendRawTransaction", "0x00")
    assert node.journal.failures


def test_a_node_has_an_address_only_while_it_runs(anvil: RunningNode) -> None:
    node = FaultyNode(anvil.url)
    with pytest.raises(InvalidInput, match="does not run"):
        _ = node.url
    with pytest.raises(InvalidInput, match="http://host:port"):
        FaultyNode("embedded:chain.db")


def test_every_wording_stands_in_the_corpus_with_its_source() -> None:
    corpus = Path(__file__).parents[1] / "ledger" / "replies_corpus.toml"
    replies = tomllib.loads(corpus.read_text("utf-8"))["replies"]
    known = {(r["client"], r["code"], r["text"], r["verdict"]) for r in replies if "code" in r}
    verdicts = {"already_known": "known"}
    for kind, wordings in WORDINGS.items():
        for client, (code, text) in wordings.items():
            assert (client, code, text, verdicts.get(kind, kind)) in known
