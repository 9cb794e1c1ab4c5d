"""What refusals mean: a table over real wordings, and what of them may be shown."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain_client.errors import LedgerUnavailable, TransactionRejected
from chain_client.ledger.abi import ContractAbi
from chain_client.ledger.jsonrpc.replies import SendVerdict, classify_read, classify_send
from chain_client.ledger.jsonrpc.revert_data import find_revert_data
from chain_client.ledger.jsonrpc.shown_reply import shown
from chain_client.ledger.revert import explain_revert

CORPUS: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "replies_corpus.toml").read_text("utf-8")
)["replies"]
REQUIRED = {"client", "release", "source", "standing", "asked", "text", "verdict"}
OPTIONAL = {"code", "data", "http_status", "body", "revert", "tag", "version"}
CLIENTS = ("geth", "besu", "erigon", "nethermind", "anvil", "hardhat")
SENDS = (
    *("known", "nonce_too_low", "nonce_gap", "underpriced", "fee_too_low", "insufficient_funds"),
    *("gas_limit", "invalid_signature", "wrong_chain"),
)


def name(line: dict[str, Any]) -> str:
    return f"{line['client']}-{line['asked']}-{line['text'][:50] or line.get('http_status')}"


@pytest.mark.parametrize("line", CORPUS, ids=name)
def test_a_wording_means_what_the_corpus_says(line: dict[str, Any]) -> None:
    classify: Any = classify_send if line["asked"] == "send" else classify_read
    more = {"names_tag": True} if line.get("tag") else {}
    verdict = classify(
        line.get("code"),
        line["text"],
        line.get("http_status", 200),
        line.get("version", ""),
        data=json.loads(line.get("data", "null")),
        body=line.get("body", "error"),
        **more,
    )
    assert verdict.kind == line["verdict"]
    if "revert" in line:
        assert verdict.revert_data == bytes.fromhex(line["revert"])


def test_every_line_says_where_it_comes_from() -> None:
    for line in CORPUS:
        assert set(line) >= REQUIRED
        assert set(line) <= REQUIRED | OPTIONAL
        assert line["release"]
        assert line["source"]
        assert line["standing"] in ("documented", "observed")


def test_the_corpus_covers_every_client_and_kind() -> None:
    def lines(client: str, asked: str) -> set[str]:
        return {
            line["verdict"]
            for line in CORPUS
            if line["client"] == client and line["asked"] == asked
        }

    for client in CLIENTS:
        lacking = set(SENDS) - lines(client, "send")
        # Erigon has no refusal of a gap; it and anvil queue what comes too early
        assert lacking <= ({"nonce_gap"} if client in ("erigon", "anvil") else set()), client
        assert "reverted" in lines(client, "read")
    observed = {line["client"] for line in CORPUS if line["standing"] == "observed"}
    assert observed == {"anvil", "hardhat"}


@pytest.mark.parametrize("kind", ["pool_full", "rate_limited", "unavailable"])
def test_what_says_nothing_about_the_bytes_is_no_refusal(kind: Any) -> None:
    error = SendVerdict(kind, "“later”").to_error("https://node:443")
    assert isinstance(error, LedgerUnavailable)
    assert str(error) == "https://node:443 takes no transaction now: “later”"


def test_known_bytes_are_success_and_the_rest_is_refused_with_its_kind() -> None:
    assert SendVerdict("known", "").to_error("https://node:443") is None
    error = SendVerdict("nonce_gap", "“nonce too high”").to_error("https://node:443")
    assert isinstance(error, TransactionRejected)
    assert error.reason == "nonce_gap"


@pytest.mark.parametrize(
    "secret",
    [
        "https://eth-mainnet.example.com/v2/aB3dE5fG7hJ9",
        "wss://user:hunter2@node.example/ws",
        "eth-mainnet.example.com/v2/aB3dE5fG7hJ9",
        "Authorization: Bearer aB3dE5",
        "apiKey=aB3dE5",
        '{"api-key": "aB3dE5"}',
        "bearer aB3dE5",
        "project_id=aB3dE5",
        "project 9aa3d95b3bc440fa88ea12eaa4456161 is over its limit",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
        "0x" + "ab" * 100,
    ],
)
def test_addresses_and_tokens_are_never_shown(secret: str) -> None:
    text = shown(f"refused for {secret} today")
    assert text.startswith("“refused for ")
    for part in ("aB3dE5", "hunter2", "9aa3d95b3bc4", "eyJ", "dozj", "ab" * 30):
        assert part not in text
    assert secret not in str(classify_send(-32000, secret).to_error("https://node:443"))
    assert secret not in classify_read(-32000, secret).text


@pytest.mark.parametrize(
    "text",
    [
        "nonce too low: next nonce 5, tx nonce 4",
        "address 0x1111111111111111111111111111111111111111, baseFee: 875000000",
        "Known transaction: 0x1ea874a4712b33a7db9856626b00c9635ec14cb9f22e38979d90ae4b67b7eaa7",
        "balance 1000000000000000000000000, overshot 21000000000000",
        "A gasPrice/maxPriorityFeePerGas of at least 22 is necessary",
    ],
)
def test_what_helps_is_shown(text: str) -> None:
    assert shown(text) == f"“{text}”"


def test_a_hidden_or_endless_text_is_shown_short_and_plain() -> None:
    text = shown("red \x1b[31m\u202eback\n" + "word " * 10**6)
    assert len(text) <= 202
    assert text.isprintable()
    assert shown("") == "nothing"


def test_a_page_is_not_shown_and_a_refused_key_names_the_setting() -> None:
    assert shown("<html>secret</html>", 502, "html") == "HTTP 502 without a JSON-RPC reply"
    assert shown("<html>secret</html>", 403, "html") == (
        "HTTP 403: are the settings ledger.url and ledger.headers right?"
    )
    assert "ledger.headers" in classify_read(-32000, "invalid project id", 401).text


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@given(st.none() | st.integers(-40_000, 5000), st.text(), st.integers(0, 599), JSON)
def test_any_refusal_gets_a_verdict_that_can_be_shown(
    code: int | None, message: str, status: int, data: Any
) -> None:
    for verdict in (
        classify_send(code, message, status, data=data),
        classify_read(code, message, status, data=data, names_tag=True),
    ):
        assert verdict.text.isprintable()
        assert len(verdict.text) <= 260


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("0x", b""),
        ("0x0102", b"\1\2"),
        ("0X0102", b"\1\2"),
        ("Reverted 0x0102", b"\1\2"),
        ({"data": "0x0102", "message": "x"}, b"\1\2"),
        ({"data": {"data": "0x0102"}}, b"\1\2"),
        ({"originalError": {"data": "0x0102"}}, b"\1\2"),
        ({"0xaa": {"return": "0x0102"}, "stack": "…"}, b"\1\2"),
        (None, None),
        ("", None),
        ("0x1", None),
        ("execution reverted", None),
        ("0102", None),
        ({"method": "eth_call", "params": [{"data": "0x0102"}]}, None),
        (["0x0102"], None),
        (5, None),
    ],
)
def test_revert_data_is_found_in_every_shape(data: Any, expected: bytes | None) -> None:
    assert find_revert_data(data) == expected


NO = "08c379a0" + "20".rjust(64, "0") + "02".rjust(64, "0") + b"no".hex().ljust(64, "0")


@pytest.mark.parametrize(
    ("client", "code", "message", "data"),
    [
        ("geth, Erigon, anvil", 3, "execution reverted: no", f"0x{NO}"),
        ("Besu", -32000, "Execution reverted: no", f"0x{NO}"),
        ("Nethermind", 3, "execution reverted: no", f"0x{NO}"),
        ("older Nethermind", -32015, "VM execution error.", f"Reverted 0x{NO}"),
        (
            "hardhat",
            -32603,
            "Error: VM Exception while processing transaction: reverted with reason string 'no'",
            {"message": "…", "data": f"0x{NO}"},
        ),
        ("hardhat behind a proxy", -32603, "Internal error", {"data": {"data": f"0x{NO}"}}),
        ("a proxy without data", 3, "execution reverted: no", None),
        ("a proxy without data", -32000, f"execution reverted: 0x{NO}", None),
        (
            "hardhat behind a proxy without data",
            -32603,
            "VM Exception while processing transaction: reverted with reason string 'no'",
            None,
        ),
    ],
)
def test_the_reason_of_a_revert_is_told_for_every_client(
    client: str, code: int, message: str, data: Any
) -> None:
    verdict = classify_read(code, message, data=data)
    assert verdict.kind == "reverted", client
    assert verdict.revert_data == bytes.fromhex(NO)
    told = explain_revert(verdict.revert_data, ContractAbi(()), {})
    assert str(told) == "the contract refused: no"


@pytest.mark.parametrize(
    "message",
    [
        "execution reverted",
        "execution reverted: 0x",
        "Error: Transaction reverted without a reason string",
        "VM execution error.",
        "invalid opcode: INVALID",
    ],
)
def test_a_revert_without_a_reason_has_none(message: str) -> None:
    verdict = classify_read(-32000, message)
    assert (verdict.kind, verdict.revert_data) == ("reverted", b"")


def test_a_reply_nested_without_end_is_no_revert_data() -> None:
    data: Any = "0x0102"
    for _ in range(5000):
        data = {"data": data}
    assert find_revert_data(data) is None
