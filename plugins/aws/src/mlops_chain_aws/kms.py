"""Keys in AWS KMS: they sign there, and never leave it.

::

    awskms:1234abcd-12ab-34cd-56ef-1234567890ab        key id (mrk-… too), in boto3's region
    awskms:alias/champion-writer                       alias
    awskms:arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab
    awskms:arn:aws:kms:eu-central-1:111122223333:alias/champion-writer
    …?region=…&endpoint_url=…&address=0x…              each at most once

The key's spec is ``ECC_SECG_P256K1``, its usage ``SIGN_VERIFY``. These IAM actions are needed on
the key, and no others:

* ``kms:DescribeKey`` and ``kms:GetPublicKey``, once, when the key is first used;
* ``kms:Sign``, each time.

An alias is asked for once as well; from then on the key itself is named. So a signer has one
address while it lives, and a policy may not demand ``kms:RequestAlias``.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from chain_client.clock import Clock, SystemClock
from chain_client.errors import (
    ConfigurationError,
    InvalidInput,
    SignatureRefused,
    SignerRefused,
    SignerUnavailable,
)
from chain_client.forking import ForkableLock
from chain_client.types import Address, from_hex, to_hex
from mlops_chain_aws.clients import (
    LazyClient,
    Patience,
    Place,
    Query,
    aws_errors,
    code_of,
    is_unavailable,
    to_ours,
)
from mlops_chain_aws.der import address_of, parse_signature, to_chain_form
from mlops_chain_aws.waiting import OutOfTimeError, TooManyHangError, Waiting

SCHEME = "awskms"
DEADLINE_S = 20.0
"""Of an address or a signature, with all requests that it takes: then it is given up."""
MOST_REQUESTS = 6
"""Of one call."""
PATIENCE = Patience(connect_s=3.0, read_s=5.0, attempts=1, connections=4, reply_s=5.0)
"""Of one request. It is asked again here, not by botocore, for a deadline holds over them all."""

MOST_HANGING = 4
"""Requests of one signer that were given up and have not ended."""

_FIRST_PAUSE_S = 0.2
_HINT_S = 5.0
_SPEC, _USAGE, _ALGORITHM = "ECC_SECG_P256K1", "SIGN_VERIFY", "ECDSA_SHA_256"

_ID = r"(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|mrk-[0-9a-f]{32})"
_ALIAS = r"alias/(?!aws/)[A-Za-z0-9/_-]{1,250}"
_ARN = rf"arn:aws(?:-[a-z]+)*:kms:(?P<region>[a-z0-9-]+):\d{{12}}:(?:key/{_ID}|{_ALIAS})"
_KEY = re.compile(rf"{_ID}|{_ALIAS}|{_ARN}")

_ACTIONS = {
    "describe_key": "kms:DescribeKey",
    "get_public_key": "kms:GetPublicKey",
    "sign": "kms:Sign",
}

_ANSWERED = {"describe_key": "KeyMetadata", "get_public_key": "PublicKey", "sign": "Signature"}
"""What is in an answer that is one of KMS."""

_REFUSED = {
    "DisabledException": "is disabled: enable it, or use another",
    "KMSInvalidStateException": "is in no state to sign: deleted soon, or without its material",
    "NotFoundException": "is not there, or not in the region{region} and account that were asked",
    "InvalidKeyUsageException": f"does not sign: its usage has to be {_USAGE}",
    "UnsupportedOperationException": f"can't sign: its spec has to be {_SPEC}",
    "InvalidArnException": "has a name that KMS does not take",
}


def open_kms_signer(uri: str) -> KmsSigner:
    """The signer that an ``awskms:`` URI names. Asks nobody yet: the first use does.

    Raises:
        ConfigurationError: it names no key. The text holds no more of it than the scheme.
    """
    key, _, text = uri.partition(":")[2].partition("?")
    found = _KEY.fullmatch(key)
    if found is None:
        raise ConfigurationError(
            f"the {SCHEME}: URI names no key; expected {SCHEME}: and a key id, alias/<name> or an "
            "ARN of either"
        )
    query = Query.of(SCHEME, text, frozenset({"region", "endpoint_url", "address"}))
    place = query.place(SCHEME)
    of_arn = found["region"]
    if of_arn is not None:
        if place.region not in (None, of_arn):
            raise ConfigurationError(f"the {SCHEME}: URI names two regions: its ARN has one")
        place = Place(of_arn, place.endpoint_url)
    return KmsSigner(
        uri,
        key,
        LazyClient("kms", place, PATIENCE),
        expected=_to_address(query.values.get("address")),
    )


def _to_address(text: str | None) -> Address | None:
    if text is None:
        return None
    try:
        return Address(from_hex(text, size=20))
    except InvalidInput:
        raise ConfigurationError(
            f"the address of the {SCHEME}: URI is none: expected 0x and 40 hex digits"
        ) from None


@dataclass(frozen=True, slots=True)
class _Found:
    """The key behind a name, as it was when it was asked for."""

    arn: str
    address: Address


class KmsSigner:
    """Signs with a key in KMS. Safe for threads, and for processes that fork.

    Each signature is checked before it is given back: its form, its range, and that it leads back
    to the key's address.

    Args:
        uri: what the configuration calls the key.
        key: key id, alias or ARN.
        client: of KMS.
        expected: the address that the key has to have, if the configuration says.
        clock: by which the deadline is kept.
        wait: lets seconds pass between two requests.
    """

    def __init__(
        self,
        uri: str,
        key: str,
        client: LazyClient,
        *,
        expected: Address | None = None,
        clock: Clock | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.uri = uri
        self._key = key
        self._client = client
        self._expected = expected
        self._clock = clock or SystemClock()
        self._wait = wait
        self._lock = ForkableLock()
        self._waiting = Waiting(MOST_HANGING)
        self._found: _Found | None = None

    def __repr__(self) -> str:
        return f"KmsSigner({self.uri!r})"

    def address(self) -> Address:
        """The key's address; asked for once.

        Raises:
            SignerUnavailable: KMS does not answer, or is busy.
            SignerRefused: the key is not there, of another kind or usage, disabled or deleted soon,
                has another address than the URI says, or these credentials may not use it.
            ConfigurationError: there are no credentials, or no region.
        """
        return self._look(self._until_us(DEADLINE_S)).address

    def sign_hash(self, digest: bytes) -> tuple[int, int, int]:
        """Sign a 32-byte digest as it is.

        Returns:
            ``(y_parity, r, s)``, with s in the lower half of the order (EIP-2).

        Raises:
            InvalidInput: not 32 bytes.
            SignatureRefused: what KMS gave is no signature of this key over this digest.
            SignerUnavailable: or another, as `address`.
        """
        if len(digest) != 32:
            raise InvalidInput(f"a digest to sign has 32 bytes, got {len(digest)}")
        until_us = self._until_us(DEADLINE_S)
        found = self._look(until_us)
        answer = self._ask(
            "sign",
            until_us,
            KeyId=found.arn,
            Message=digest,
            MessageType="DIGEST",
            SigningAlgorithm=_ALGORITHM,
        )
        if answer.get("KeyId") != found.arn:
            raise SignatureRefused("the signature that came is by another key of KMS")
        r, s = parse_signature(bytes(answer["Signature"]))
        return to_chain_form(r, s, digest, found.address)

    def _look(self, until_us: int) -> _Found:
        with self._lock.held():
            if self._found is None:
                self._found = self._find(until_us)
            return self._found

    def _find(self, until_us: int) -> _Found:
        # 1. What the name stands for now, and whether such a key can sign for a chain at all.
        about = self._ask("describe_key", until_us, KeyId=self._key)["KeyMetadata"]
        arn = str(about.get("Arn", ""))
        for what, needed in (("KeySpec", _SPEC), ("KeyUsage", _USAGE), ("KeyState", "Enabled")):
            if about.get(what) != needed:
                raise SignerRefused(
                    f"{self.uri}: the key's {what} is {about.get(what)}, and has to be {needed}"
                )
        # 2. Its address, by its public key.
        answer = self._ask("get_public_key", until_us, KeyId=arn)
        address = address_of(bytes(answer["PublicKey"]))
        # 3. That it is the one that was meant.
        if self._expected not in (None, address):
            raise SignerRefused(
                f"{self.uri} is now the key {to_hex(address)}, which is not the address that the "
                "URI says"
            )
        return _Found(arn, address)

    def _ask(self, operation: str, until_us: int, **arguments: object) -> dict[str, Any]:
        """One call of KMS, asked again where that may help, within the deadline."""
        pause_s = _FIRST_PAUSE_S
        requests = 0
        while True:
            requests += 1
            try:
                answer = self._request(operation, until_us, **arguments)
                if _ANSWERED[operation] in answer:
                    return answer
                trouble: Exception = SignerUnavailable("KMS did not answer, something else did")
            except SignerUnavailable as exc:
                trouble = exc
            except aws_errors() as exc:
                trouble = exc
                if not is_unavailable(exc):
                    self._raise(exc, operation, requests)
            left_us = until_us - self._clock.monotonic_us()
            if requests == MOST_REQUESTS or left_us < pause_s * 1e6:
                self._raise(trouble, operation, requests)
            self._wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - spreads requests
            pause_s *= 2
            if self._clock.monotonic_us() >= until_us:
                self._raise(trouble, operation, requests)

    def _request(self, operation: str, until_us: int, **arguments: object) -> dict[str, Any]:
        """One request: its answer, or botocore's exception.

        Finding a host and credentials belongs to it, and neither has a limit of its own.
        """

        def ask() -> dict[str, Any]:
            answer: dict[str, Any] = getattr(self._client.get(), operation)(**arguments)
            return answer

        try:
            return self._waiting.run(ask, lambda: self._clock.monotonic_us() >= until_us)
        except OutOfTimeError:
            self._client.drop()
            raise SignerUnavailable(f"KMS gave no answer within {DEADLINE_S:g} s") from None
        except TooManyHangError:
            raise SignerUnavailable(
                f"{MOST_HANGING} earlier requests to KMS, or looks for credentials, hang still, or "
                "no thread can start in this process any more"
            ) from None

    def _until_us(self, seconds: float) -> int:
        return self._clock.monotonic_us() + int(seconds * 1e6)

    def _raise(self, exc: Exception, operation: str, requests: int) -> NoReturn:
        refused = _REFUSED.get(code_of(exc))
        if refused is not None:
            told_region = refused.format(region=self._region())
            raise SignerRefused(f"{self.uri}: the key {told_region}{self._hint()}") from None
        is_ours = isinstance(exc, SignerUnavailable)
        told = exc if is_ours else to_ours(exc, "kms", SignerUnavailable, _ACTIONS[operation])
        if isinstance(told, SignerUnavailable):
            raise SignerUnavailable(f"{self.uri}: {told}; asked {requests} times") from None
        raise SignerRefused(f"{self.uri}: {told}") from None

    def _region(self) -> str:
        name = getattr(self._client.get().meta, "region_name", None)
        return f" {name}" if isinstance(name, str) and name.replace("-", "").isalnum() else ""

    def _hint(self) -> str:
        """What to do if the alias names another key than the one that this signer found."""
        if self._found is None or "alias/" not in self._key:
            return ""
        try:
            answer = self._request("describe_key", self._until_us(_HINT_S), KeyId=self._key)
        except SignerUnavailable:
            return ""
        except aws_errors():
            return ""
        if answer.get("KeyMetadata", {}).get("Arn") == self._found.arn:
            return ""
        return ". Its alias names another key by now; who opens it anew signs with that one"
