"""Typed data: the digests and signatures are those that Ethereum's own library makes."""

from __future__ import annotations

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import InvalidInput
from chain_client.signing.eip712 import Domain, find_signer, sign_digest, typed_digest
from chain_client.signing.keccak import keccak256
from chain_client.types import Address
from tests.strategies import examples, texts

KEY = Account.from_key(b"\x11" * 32)
DOMAIN = Domain(1337, Address(b"\x22" * 20))


class AccountSigner:
    """A signer with a key that the test knows."""

    uri = "test:"

    def address(self) -> Address:
        return Address(bytes.fromhex(KEY.address[2:]))

    def sign_hash(self, digest: bytes) -> tuple[int, int, int]:
        signed = KEY.unsafe_sign_hash(digest)
        return signed.v - 27, signed.r, signed.s


@settings(max_examples=examples(30))
@given(texts, st.integers(0, 2**256 - 1), st.binary(min_size=32, max_size=32))
def test_a_digest_is_the_one_that_a_wallet_signs(text: str, number: int, data: bytes) -> None:
    ours = typed_digest(DOMAIN, "Thing", {"text": text, "number": number, "data": data})
    message = encode_typed_data(
        {"name": "mlops-chain", "version": "1", "chainId": 1337,
         "verifyingContract": "0x" + "22" * 20},
        {"Thing": [{"name": "text", "type": "string"}, {"name": "number", "type": "uint256"},
                   {"name": "data", "type": "bytes32"}]},
        {"text": text, "number": number, "data": data},
    )  # fmt: skip
    assert ours == keccak256(b"\x19" + message.version + message.header + message.body)
    signature = sign_digest(AccountSigner(), ours)
    assert signature == KEY.sign_message(message).signature
    assert find_signer(ours, signature) == AccountSigner().address()


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s[:-1],
        lambda s: s + b"\0",
        lambda s: bytes(65),
        lambda s: s[:64] + b"\x01",
        lambda s: b"\xff" * 64 + s[64:],
        # the same signature with the other s, which anyone can make
        lambda s: (
            s[:32]
            + (
                0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
                - int.from_bytes(s[32:64], "big")
            ).to_bytes(32, "big")
            + bytes([55 - s[64]])
        ),
    ],
    ids=["cut", "longer", "empty", "other v", "out of range", "high s"],
)
def test_what_is_no_signature_has_no_signer(change: object) -> None:
    digest = typed_digest(DOMAIN, "Thing", {"text": "x"})
    assert callable(change)
    assert find_signer(digest, change(sign_digest(AccountSigner(), digest))) is None


@pytest.mark.parametrize("value", [-1, 2**256, b"short", "\ud800"])
def test_values_without_an_encoding_are_refused(value: str | int | bytes) -> None:
    with pytest.raises(InvalidInput):
        typed_digest(DOMAIN, "Thing", {"value": value})
