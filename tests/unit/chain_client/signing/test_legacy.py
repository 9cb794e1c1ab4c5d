"""Type-0 transactions: byte for byte those of eth_account; and both types read back."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import rlp
from eth_utils import to_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import InvalidInput
from chain_client.signing import TransactionFields, decode_transaction, sign_transaction
from chain_client.types import Address
from tests.embedded_chains import KeyInMemory
from tests.reference_account import Account
from tests.strategies import examples

KEY = KeyInMemory(9)
FIELDS = TransactionFields(31_337, 7, 5, 5, 21_000, Address(b"\1" * 20), b"data", 3, is_legacy=True)


def numbers(bits: int) -> st.SearchStrategy[int]:
    edges = [0, 1, 0x7F, 0x80, 0xFF, 0x100, 2**bits - 1]
    return st.integers(0, 2**bits - 1) | st.sampled_from([n for n in edges if n < 2**bits])


@st.composite
def fields(draw: st.DrawFn, *, is_legacy: bool) -> TransactionFields:
    tip, fee = sorted((draw(numbers(64)), draw(numbers(64))))
    to = draw(st.none() | st.binary(min_size=20, max_size=20))
    return TransactionFields(
        chain_id=draw(numbers(63).filter(bool)),
        nonce=draw(numbers(63)),
        max_fee_wei=fee,
        max_priority_fee_wei=fee if is_legacy else tip,
        gas_limit=draw(numbers(40)),
        to=None if to is None else Address(to),
        data=draw(st.binary(max_size=70)),
        value_wei=draw(numbers(96)),
        is_legacy=is_legacy,
    )


@given(fields(is_legacy=True), st.integers(0, 50))
@settings(max_examples=examples(40))
def test_bytes_and_hash_are_those_of_eth_account(tx: TransactionFields, key: int) -> None:
    signer = KeyInMemory(key)
    signed = sign_transaction(signer, tx)
    expected: Any = Account.from_key(signer.secret).sign_transaction(
        {
            "chainId": tx.chain_id,
            "nonce": tx.nonce,
            "gasPrice": tx.max_fee_wei,
            "gas": tx.gas_limit,
            "to": b"" if tx.to is None else to_checksum_address(tx.to),
            "value": tx.value_wei,
            "data": tx.data,
        }
    )
    assert signed.raw == bytes(expected.raw_transaction)
    assert signed.tx_hash == bytes(expected.hash)
    assert Account.recover_transaction(signed.raw) == Account.from_key(signer.secret).address


@given(fields(is_legacy=True) | fields(is_legacy=False))
@settings(max_examples=examples(80))
def test_what_was_signed_is_read_back(tx: TransactionFields) -> None:
    assert decode_transaction(sign_transaction(KEY, tx).raw) == tx


def test_a_legacy_transaction_signs_for_its_chain_only() -> None:
    other = dataclasses.replace(FIELDS, chain_id=1)
    assert FIELDS.signing_hash() != other.signing_hash()
    assert FIELDS.signing_hash() != dataclasses.replace(FIELDS, is_legacy=False).signing_hash()


def test_a_legacy_transaction_without_a_chain_is_not_made() -> None:
    with pytest.raises(InvalidInput, match="EIP-155"):
        dataclasses.replace(FIELDS, chain_id=0)


def legacy_with_v(v: int) -> bytes:
    items = rlp.decode(sign_transaction(KEY, FIELDS).raw)
    return bytes(rlp.encode([*items[:6], v, *items[7:]]))


def with_access_list() -> bytes:
    raw = sign_transaction(KEY, dataclasses.replace(FIELDS, is_legacy=False)).raw
    items = rlp.decode(raw[1:])
    items[8] = [[b"\1" * 20, []]]
    return b"\x02" + bytes(rlp.encode(items))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "type 0 or 2"),
        (b"\x01\xc0", "type 0 or 2"),
        (b"\x02", "no signed transaction"),
        (b"\x02\xc3\x01", "no signed transaction"),
        (b"\x02\x85hello", "has 12 fields"),
        (b"\xc0", "has 9 fields"),
        (sign_transaction(KEY, FIELDS).raw[:-1], "no signed transaction"),
        (sign_transaction(KEY, FIELDS).raw + b"\0", "no signed transaction"),
        (legacy_with_v(27), "names no chain"),
        (legacy_with_v(35), "names no chain"),
        (with_access_list(), "access list"),
        (bytes(rlp.encode([[]] * 9)), "no lists within"),
    ],
)
def test_other_bytes_are_refused(raw: bytes, text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        decode_transaction(raw)
