"""What a payload store is."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol, runtime_checkable

from chain_client.errors import InvalidInput
from chain_client.types import Digest

MAX_PAYLOAD_BYTES: Final = 1 << 30
"""More than any payload has: what is longer is not stored, and not read where it is stored."""


class PayloadStore(Protocol):
    """Keeps bytes under their SHA-256, outside of the log's database.

    What it is given is encrypted already (`chain_client.payloads.encryption`): a store sees neither
    an event nor a name, and needs no trust in what it says it holds. Written once, never changed:
    a digest has one content.

    Safe for threads: any of its methods may run in any number of threads at once, and other
    processes may use the same place. A store that was made before a fork may be used after it, in
    both processes. Constructors do no I/O. No method's exception text holds a password, a token,
    a credential or a payload, and no exception but these and `ConfigurationError` leaves it.
    """

    uri: str
    """Where it stores, as it may be shown: without anything secret."""

    def put(self, digest: Digest, data: bytes) -> None:
        """Store bytes under their digest.

        Guarantee: when it returns, `get` gives them, also after the machine or the store's server
        died, and whatever else was promised of them (such as a retention) holds. Until then they
        are there whole or not at all, however this process dies. What is there already, whole, is
        left alone and is success; what is there and damaged is mended, or `PayloadDamaged`.

        Args:
            digest: SHA-256 of ``data``.
            data: normally a few hundred bytes, at most `MAX_PAYLOAD_BYTES`.

        Raises:
            InvalidInput: ``digest`` is not that of ``data``, or that is too long; nothing was
                stored.
            PayloadStoreUnavailable: the store does not take it now (full, away, throttled).
            PayloadDamaged: other bytes are under this digest, and can't be replaced.
            ConfigurationError: it never will (no such bucket, access denied, retention asked for
                where there is none); the text says what to do.
        """

    def get(self, digest: Digest, longest: int = MAX_PAYLOAD_BYTES) -> bytes:
        """The bytes whose SHA-256 is ``digest``; checked, so that nothing else is ever returned.

        Args:
            digest: of the payload.
            longest: most bytes that it can have; what is longer is not read into memory.

        Raises:
            PayloadMissing: nothing is there: never stored, erased, or taken away.
            PayloadDamaged: what is there has another digest, or is too long.
            PayloadStoreUnavailable: the store does not answer now. Says nothing on the payload.
            ConfigurationError: it may not be read as this process is configured.
        """

    def erase(self, digest: Digest) -> None:
        """Remove the bytes, every version of them, for ever.

        Guarantee: when it returns, the store holds nothing under the digest any more, and was
        asked again to prove it. Nothing there already is success.

        Raises:
            ErasureRefused: the store must keep them (a retention, a legal hold); its ``until``
                says how long. Whoever erases the seed of the payload makes them unreadable now.
            PayloadStoreUnavailable: the store does not answer now; erase again.
            ConfigurationError: it may not be erased as this process is configured.
        """

    def check(self) -> None:
        """Look whether the store can be reached and keeps what was asked of it.

        Guarantee: nothing is stored. When it returns, the place is there, and what its URI asks
        for (such as retention, which needs versions) is possible in it.

        Raises:
            PayloadStoreUnavailable: it does not answer now.
            ConfigurationError: it is not fit; the text says what is missing and what to do.
        """


@runtime_checkable
class Shareable(Protocol):
    """A payload store whose whole URI holds nothing secret, so that other machines may have it."""

    @property
    def shared_uri(self) -> str:
        """The URI as it was configured, with its options."""


def check_payload(digest: Digest, data: bytes) -> None:
    """Refuse what no store takes: the first thing that every ``put`` does.

    Raises:
        InvalidInput: the digest is not that of the data, or that is too long.
    """
    if len(data) > MAX_PAYLOAD_BYTES:
        raise InvalidInput(
            f"a payload of {len(data)} bytes; at most {MAX_PAYLOAD_BYTES} are stored"
        )
    if hashlib.sha256(data).digest() != digest:
        raise InvalidInput("the digest is not that of the payload; nothing was stored")
