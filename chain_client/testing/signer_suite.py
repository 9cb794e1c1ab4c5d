"""What every signer must do: subclass `SignerSuite`, and give it a ``key`` by a fixture."""

from __future__ import annotations

import hashlib
import os
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from chain_client.errors import ConfigurationError, InvalidInput
from chain_client.signing import Signer, TransactionFields, decode_transaction, sign_transaction
from chain_client.signing.eip712 import SIGNATURE_BYTES, find_signer, sign_digest
from chain_client.types import Address, to_hex

HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
ORDER = 2 * HALF_ORDER + 1

EDGES = (b"\0" * 32, b"\xff" * 32, b"\0" * 31 + b"\1", ORDER.to_bytes(32, "big"))
"""Digests at the ends of the range, and at the order of the group."""


@dataclass(frozen=True, slots=True)
class KeyUnderTest:
    """A key that nobody else uses.

    Args:
        open: makes a further signer of it, which has done nothing yet.
        other: makes a signer of the same kind with another key.
        missing: makes one whose key is not there.
        secrets: texts that may stand in nothing that is shown, such as a password.
        signatures: how many are made where many are; about half of them have a high s with a
            service that does not look to it.
    """

    open: Callable[[], Signer]
    other: Callable[[], Signer]
    missing: Callable[[], Signer]
    secrets: tuple[str, ...] = ()
    signatures: int = 32


def digest_of(number: int) -> bytes:
    """Some digest."""
    return hashlib.sha256(b"signer suite %d" % number).digest()


def recovered(signer: Signer, digest: bytes) -> Address | None:
    """Whose signature it makes, by the 65 bytes that go to a contract."""
    signature = sign_digest(signer, digest)
    assert len(signature) == SIGNATURE_BYTES
    return find_signer(digest, signature)


class SignerSuite:
    """The tests."""

    def test_it_has_one_address_whoever_opens_it(self, key: KeyUnderTest) -> None:
        signer = key.open()
        address = signer.address()
        assert isinstance(address, bytes)
        assert len(address) == 20
        assert signer.address() == key.open().address() == address
        assert key.other().address() != address

    def test_each_signature_leads_back_to_its_address_in_the_one_form_a_chain_takes(
        self, key: KeyUnderTest
    ) -> None:
        signer = key.open()
        address, parities = signer.address(), set()
        digests = [*EDGES, *(digest_of(number) for number in range(key.signatures))]
        for digest in digests:
            y_parity, r, s = signer.sign_hash(digest)
            assert y_parity in (0, 1)
            assert 0 < r < ORDER
            assert 0 < s <= HALF_ORDER, "a high s can be turned into a second signature (EIP-2)"
            signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + y_parity])
            assert find_signer(digest, signature) == address
            parities.add(y_parity)
        assert parities == {0, 1}

    def test_it_can_sign_before_it_was_asked_for_its_address(self, key: KeyUnderTest) -> None:
        signer = key.open()
        assert recovered(signer, digest_of(1)) == signer.address()

    def test_another_key_signs_otherwise(self, key: KeyUnderTest) -> None:
        other = key.other()
        assert recovered(other, digest_of(2)) == other.address() != key.open().address()

    @pytest.mark.parametrize("size", [0, 20, 31, 33, 64])
    def test_what_is_no_digest_is_refused(self, key: KeyUnderTest, size: int) -> None:
        with pytest.raises(InvalidInput, match="32 bytes"):
            key.open().sign_hash(b"\1" * size)

    @pytest.mark.parametrize("is_legacy", [False, True], ids=["type 2", "legacy"])
    def test_others_read_the_sender_from_a_transaction(
        self, key: KeyUnderTest, is_legacy: bool
    ) -> None:
        from eth_account import Account

        signer = key.open()
        fields = TransactionFields(
            chain_id=31337,
            nonce=7,
            max_fee_wei=2_000_000_000,
            max_priority_fee_wei=2_000_000_000,
            gas_limit=100_000,
            to=Address(b"\x11" * 20),
            data=b"\x01\x02",
            is_legacy=is_legacy,
        )
        signed = sign_transaction(signer, fields)
        assert decode_transaction(signed.raw) == fields
        sender: str = Account.recover_transaction(signed.raw)
        assert sender.lower() == to_hex(signer.address())

    def test_threads_share_one(self, key: KeyUnderTest) -> None:
        signer = key.open()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: recovered(signer, digest_of(n)), range(16)))
        assert set(found) == {signer.address()}

    def test_a_forked_child_uses_what_its_parent_has_used(self, key: KeyUnderTest) -> None:
        signer = key.open()
        address = signer.address()
        with warnings.catch_warnings():
            # Python 3.12 warns of threads: those of the test's own process take no part in it
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if recovered(signer, digest_of(3)) == address else 2
            finally:
                os._exit(code)
        assert recovered(signer, digest_of(4)) == address
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_a_key_that_is_not_there_is_found_missing_when_it_is_used(
        self, key: KeyUnderTest
    ) -> None:
        signer = key.missing()  # making it asks nobody
        with pytest.raises(ConfigurationError):
            signer.address()
        with pytest.raises(ConfigurationError):
            signer.sign_hash(digest_of(5))

    def test_nothing_that_is_shown_holds_a_secret(self, key: KeyUnderTest) -> None:
        signer, missing = key.open(), key.missing()
        signer.sign_hash(digest_of(6))
        shown = [signer.uri, repr(signer), repr(missing)]
        with pytest.raises(ConfigurationError) as caught:
            missing.address()
        shown += traceback.format_exception(caught.value)
        assert ":" in signer.uri
        assert [secret for secret in key.secrets if secret in "\n".join(shown)] == []
