"""Payloads as they lie in a store: what the format is, and that nothing else is read back."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import InvalidInput, PayloadDamaged
from chain_client.payloads import decrypt_payload, encrypt_payload
from chain_client.payloads.encryption import OVERHEAD_BYTES

SEED = bytes(range(16))


def test_the_format_is_what_its_documentation_says() -> None:
    """Built from its description alone; what was stored once must be read for ever."""
    plain = b"an event"
    key = hmac.new(SEED, b"mlops-chain payload 1", hashlib.sha256).digest()
    nonce = hmac.new(key, b"mlops-chain nonce 1" + plain, hashlib.sha256).digest()[:12]
    data = b"\x01" + nonce + AESGCM(key).encrypt(nonce, plain, b"\x01")
    assert encrypt_payload(plain, SEED).data == data
    assert data.hex() == (
        "0126c68a44aa931c6264c0db81964f906090be1e7b25f08b98183b1905e69b291b31f829e2"
    )


@settings(max_examples=50)
@given(plain=st.binary(max_size=300), seed=st.binary(min_size=16, max_size=16))
def test_what_is_encrypted_is_decrypted_and_twice_the_same_gives_the_same(
    plain: bytes, seed: bytes
) -> None:
    stored = encrypt_payload(plain, seed)
    assert stored == encrypt_payload(plain, seed)
    assert stored.digest == hashlib.sha256(stored.data).digest()
    assert len(stored.data) == len(plain) + OVERHEAD_BYTES
    assert decrypt_payload(stored.data, seed) == plain


def test_any_flipped_bit_any_cut_and_any_other_seed_are_noticed() -> None:
    stored = encrypt_payload(b"an event", SEED).data
    for at in range(len(stored) * 8):
        flipped = bytearray(stored)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(PayloadDamaged):
            decrypt_payload(bytes(flipped), SEED)
    for size in range(len(stored)):
        with pytest.raises(PayloadDamaged):
            decrypt_payload(stored[:size], SEED)
    with pytest.raises(PayloadDamaged):
        decrypt_payload(stored, bytes(16))


def test_a_seed_used_for_two_texts_gives_two_nonces_and_another_seed_another_text() -> None:
    first, second = encrypt_payload(b"first", SEED), encrypt_payload(b"other", SEED)
    assert first.data[1:13] != second.data[1:13]
    assert encrypt_payload(b"first", bytes(16)).data[13:] != first.data[13:]


def test_what_was_encrypted_under_a_nonce_of_somebodys_choice_is_refused() -> None:
    key = hmac.new(SEED, b"mlops-chain payload 1", hashlib.sha256).digest()
    data = b"\x01" + bytes(12) + AESGCM(key).encrypt(bytes(12), b"an event", b"\x01")
    with pytest.raises(PayloadDamaged, match="not encrypted as payloads are"):
        decrypt_payload(data, SEED)


def test_the_ciphertext_shows_nothing_of_the_text() -> None:
    text = b"mlflow experiment of a person " * 20
    assert not any(text[i : i + 8] in encrypt_payload(text, SEED).data for i in range(30))


def test_no_seed_and_no_payload_stands_in_a_representation() -> None:
    stored = encrypt_payload(b"an event", SEED)
    assert repr(stored.data) not in repr(stored)


@pytest.mark.parametrize("size", [0, 15, 17, 32])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InvalidInput, match="16 bytes"):
        encrypt_payload(b"", bytes(size))
    with pytest.raises(InvalidInput, match="16 bytes"):
        decrypt_payload(bytes(40), bytes(size))
