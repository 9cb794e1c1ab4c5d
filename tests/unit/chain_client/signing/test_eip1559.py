"""Signed transactions: byte for byte those of eth_account."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import InvalidInput
from chain_client.signing import TransactionFields, sign_transaction
from chain_client.types import Address
from tests.embedded_chains import KeyInMemory
from tests.reference_account import Account
from tests.strategies import examples

HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2
KEY = KeyInMemory(9)


def numbers(bits: int) -> st.SearchStrategy[int]:
    """Numbers of up to so many bits, with those at which RLP changes its form."""
    edges = [0, 1, 0x7F, 0x80, 0xFF, 0x100, 2**bits - 1]
    return st.integers(0, 2**bits - 1) | st.sampled_from([n for n in edges if n < 2**bits])


@st.composite
def fields(draw: st.DrawFn) -> TransactionFields:
    tip, fee = sorted((draw(numbers(64)), draw(numbers(64))))
    to = draw(st.none() | st.binary(min_size=20, max_size=20))
    data = draw(
        st.binary(max_size=70) | st.sampled_from([b"\0", b"\x7f", b"\x80", b"x" * 55, b"x" * 56])
    )
    return TransactionFields(
        chain_id=draw(numbers(32).filter(bool)),
        nonce=draw(numbers(63)),
        max_fee_wei=fee,
        max_priority_fee_wei=tip,
        gas_limit=draw(numbers(40)),
        to=None if to is None else Address(to),
        data=data,
        value_wei=draw(numbers(96)),
    )


def by_eth_account(secret: bytes, tx: TransactionFields) -> Any:
    return Account.from_key(secret).sign_transaction(
        {
            "type": 2,
            "chainId": tx.chain_id,
            "nonce": tx.nonce,
            "maxFeePerGas": tx.max_fee_wei,
            "maxPriorityFeePerGas": tx.max_priority_fee_wei,
            "gas": tx.gas_limit,
            "to": b"" if tx.to is None else to_checksum_address(tx.to),
            "value": tx.value_wei,
            "data": tx.data,
        }
    )


@given(fields(), st.integers(0, 50))
@settings(max_examples=examples(60))
def test_bytes_and_hash_are_those_of_eth_account(tx: TransactionFields, key: int) -> None:
    signer = KeyInMemory(key)
    signed = sign_transaction(signer, tx)
    expected = by_eth_account(signer.secret, tx)
    assert signed.raw == bytes(expected.raw_transaction)
    assert signed.tx_hash == bytes(expected.hash)
    assert Account.recover_transaction(signed.raw) == Account.from_key(signer.secret).address
    y_parity, r, s = signer.sign_hash(tx.signing_hash())
    assert y_parity in (0, 1)
    assert 0 < s <= HALF_ORDER
    assert r > 0


def transaction(**changes: Any) -> TransactionFields:
    values: dict[str, Any] = {
        "chain_id": 1,
        "nonce": 0,
        "max_fee_wei": 2,
        "max_priority_fee_wei": 1,
        "gas_limit": 21_000,
        "to": Address(b"\1" * 20),
        "data": b"",
    }
    return TransactionFields(**values | changes)


def test_every_field_is_signed() -> None:
    changed = {
        "chain_id": 2,
        "nonce": 1,
        "max_fee_wei": 3,
        "max_priority_fee_wei": 2,
        "gas_limit": 21_001,
        "to": None,
        "data": b"\0",
        "value_wei": 1,
    }
    hashes = {transaction(**{name: value}).signing_hash() for name, value in changed.items()}
    assert len(hashes | {transaction().signing_hash()}) == len(changed) + 1


def test_signing_twice_gives_the_same_bytes() -> None:
    assert sign_transaction(KEY, transaction()) == sign_transaction(KEY, transaction())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"to": Address(b"\1" * 19)}, "an address has 20 bytes, got 19"),
        ({"to": Address(b"")}, "an address has 20 bytes, got 0"),
        ({"max_priority_fee_wei": 3}, "priority fee"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        transaction(**changes)
