"""What the embedded chain admits: every signed form, and a reason for all it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import TransactionRejected
from chain_client.ledger import Call, EmbeddedLedger
from chain_client.ledger.embedded_admission import decode
from chain_client.signing import TransactionFields, sign_transaction
from chain_client.testing.ledger_suite import NOWHERE, sign
from chain_client.types import to_hex
from tests.embedded_chains import CHAIN_ID, OWNER, make_chain
from tests.reference_account import Account
from tests.strategies import examples

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
FIELDS = TransactionFields(CHAIN_ID, 0, 0, 0, 60_000, NOWHERE, b"data", 5)
RAW = sign_transaction(OWNER, FIELDS).raw


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedLedger]:
    made = make_chain(tmp_path_factory.mktemp("chain") / "chain.db")
    yield made
    made.close()


def by_eth_account(**changes: Any) -> bytes:
    values: dict[str, Any] = {
        "chainId": CHAIN_ID,
        "nonce": 0,
        "gas": 60_000,
        "to": to_hex(NOWHERE),
        "value": 1,
        "data": b"",
    }
    signed = Account.from_key(OWNER.secret).sign_transaction(values | changes)
    return bytes(signed.raw_transaction)


FORMS: list[dict[str, Any]] = [
    {"gasPrice": 0},
    {"type": 1, "gasPrice": 0, "accessList": []},
    {
        "type": 1,
        "gasPrice": 0,
        "accessList": [{"address": to_hex(NOWHERE), "storageKeys": ["0x" + "01" * 32]}],
    },
    {"type": 2, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0},
]


@pytest.mark.parametrize("form", FORMS, ids=["legacy", "eip2930", "access list", "eip1559"])
def test_every_signed_form_is_admitted(tmp_path: Path, form: dict[str, Any]) -> None:
    ledger = make_chain(tmp_path / "chain.db")
    receipt = ledger.receipt(ledger.send(by_eth_account(**form)))
    assert receipt is not None
    assert receipt.succeeded
    ledger.close()


def test_a_signature_for_no_chain_in_particular_is_refused(ledger: EmbeddedLedger) -> None:
    values = {"nonce": 0, "gas": 60_000, "gasPrice": 0, "to": to_hex(NOWHERE), "value": 1}
    raw = bytes(Account.from_key(OWNER.secret).sign_transaction(values).raw_transaction)
    with pytest.raises(TransactionRejected) as caught:
        ledger.send(raw)
    assert caught.value.reason == "wrong_chain"


def test_the_other_half_of_a_signature_is_refused(ledger: EmbeddedLedger) -> None:
    parity, r, s = OWNER.sign_hash(FIELDS.signing_hash())
    with pytest.raises(TransactionRejected, match="EIP-2") as caught:
        ledger.send(FIELDS.encode_signed(1 - parity, r, ORDER - s))
    assert caught.value.reason == "invalid_signature"


@pytest.mark.parametrize(
    "signature",
    [(0, 0, 0), (0, 1, 0), (0, 0, 1), (2, 1, 1), (27, 1, 1), (0, ORDER, 1), (0, 2**256, 1)],
)
def test_an_impossible_signature_is_refused(
    ledger: EmbeddedLedger, signature: tuple[int, int, int]
) -> None:
    with pytest.raises(TransactionRejected):
        ledger.send(FIELDS.encode_signed(*signature))


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
@settings(max_examples=examples(80))
def test_one_changed_byte_is_refused_or_is_another_senders(
    ledger: EmbeddedLedger, index: int, change: int
) -> None:
    raw = bytearray(RAW)
    raw[index] ^= change
    try:
        transaction = decode(bytes(raw), CHAIN_ID)
    except TransactionRejected:
        return
    assert transaction.sender != OWNER.address()
    with pytest.raises(TransactionRejected):
        ledger.send(bytes(raw))


@given(st.sampled_from([b"", b"\x01", b"\x02", b"\x03", b"\x04", b"\xf8"]), st.binary(max_size=80))
@settings(max_examples=examples(80))
def test_any_bytes_are_refused_with_a_reason(
    ledger: EmbeddedLedger, prefix: bytes, data: bytes
) -> None:
    with pytest.raises(TransactionRejected) as caught:
        ledger.send(prefix + data)
    assert caught.value.reason in ("other", "invalid_signature", "wrong_chain")


@given(st.lists(st.binary(max_size=40) | st.just([]), min_size=9, max_size=14))
@settings(max_examples=examples(60))
def test_any_fields_are_refused_with_a_reason(ledger: EmbeddedLedger, fields: list[Any]) -> None:
    import rlp

    for prefix in (b"", b"\x01", b"\x02", b"\x03"):
        with pytest.raises(TransactionRejected):
            ledger.send(prefix + rlp.encode(fields))


def test_a_fee_below_the_base_fee_and_missing_funds_are_told_apart(ledger: EmbeddedLedger) -> None:
    dear = sign(ledger, OWNER, Call(NOWHERE, b""), gas_limit=21_000, max_fee_wei=10**20)
    with pytest.raises(TransactionRejected) as caught:
        ledger.send(dear)
    assert caught.value.reason == "insufficient_funds"
