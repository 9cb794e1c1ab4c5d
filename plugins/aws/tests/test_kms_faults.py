"""KMS that is slow, busy, away or wrong: nothing false is signed, and nobody waits for ever."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
import traceback
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from chain_client.errors import (
    ChainError,
    ConfigurationError,
    SignatureRefused,
    SignerRefused,
    SignerUnavailable,
)
from chain_client.signing.eip712 import find_signer, sign_digest
from chain_client.testing.signer_suite import HALF_ORDER, ORDER
from mlops_chain_aws.clients import LazyClient, Patience, Place
from mlops_chain_aws.der import parse_signature, to_chain_form
from mlops_chain_aws.kms import DEADLINE_S, MOST_REQUESTS, KmsSigner, open_kms_signer
from mlops_chain_aws.testing.scripted_kms import (
    KEY_ARN,
    Body,
    Change,
    HangUp,
    Page,
    Refusal,
    Reply,
    ScriptedKms,
    Silence,
    scripted_kms,
)
from mlops_chain_aws.testing.stand_in import ENVIRONMENT

DIGEST = hashlib.sha256(b"a head").digest()
BUSY = Refusal("ThrottlingException", words="Rate exceeded")


class TurnedClock:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.waits: list[float] = []
        self.slowness = 1.0

    def time_us(self) -> int:
        return int(self.now_s * 1e6)

    def monotonic_us(self) -> int:
        return int(self.now_s * 1e6)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds * self.slowness)
        self.now_s += self.waits[-1]


@pytest.fixture
def kms() -> Iterator[ScriptedKms]:
    with scripted_kms() as server:
        yield server


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def signer(kms: ScriptedKms, clock: TurnedClock) -> KmsSigner:
    """Its requests wait half a second, and between two of them time is only counted."""
    client = LazyClient("kms", Place("eu-central-1", kms.endpoint_url), Patience(0.5, 0.5, 1, 4))
    return KmsSigner("awskms:alias/w", "alias/w", client, clock=clock, wait=clock.wait)


def is_signed(signer: KmsSigner) -> bool:
    return find_signer(DIGEST, sign_digest(signer, DIGEST)) == signer.address()


def with_signature(signature: bytes) -> Change:
    """The right answer, but this signature."""
    return lambda body: {**body, "Signature": base64.b64encode(signature).decode()}


@pytest.mark.parametrize(
    "trouble",
    [
        BUSY,
        Refusal("LimitExceededException"),
        Refusal("KMSInternalException", 500),
        Refusal("DependencyTimeoutException", 500),
        Refusal("KeyUnavailableException", 500),
        Refusal("Odd", 503),
        Page(502),
        Page(200),
        HangUp(),
    ],
    ids=lambda one: str(getattr(one, "code", "") or getattr(one, "status", "hangs up")),
)
@pytest.mark.parametrize("action", ["DescribeKey", "Sign"])
def test_what_passes_is_waited_for(
    kms: ScriptedKms, signer: KmsSigner, clock: TurnedClock, action: str, trouble: Reply
) -> None:
    kms.will(action, trouble, trouble)
    assert is_signed(signer)
    assert kms.count(action) == 3
    assert len(clock.waits) == 2
    assert 0 < clock.waits[0] < clock.waits[1] * 1.01


def test_a_busy_kms_is_asked_a_bounded_number_of_times(
    kms: ScriptedKms, signer: KmsSigner, clock: TurnedClock
) -> None:
    kms.will("Sign", *[BUSY] * 50)
    signer.address()
    with pytest.raises(SignerUnavailable, match=r"ThrottlingException.*; asked 6 times"):
        signer.sign_hash(DIGEST)
    assert kms.count("Sign") == MOST_REQUESTS
    assert sum(clock.waits) < DEADLINE_S
    kms.script.clear()
    assert is_signed(signer), "and it signs when KMS does again"


def test_nothing_is_asked_again_after_the_deadline(
    kms: ScriptedKms, signer: KmsSigner, clock: TurnedClock
) -> None:
    signer.address()
    kms.will("Sign", *[BUSY] * 50)
    clock.slowness = 80.0  # waits of 8 to 16, then of 16 to 32 seconds
    with pytest.raises(SignerUnavailable, match=r"ThrottlingException.*; asked 2 times"):
        signer.sign_hash(DIGEST)
    assert kms.count("Sign") == 2
    assert sum(clock.waits[:-1]) < DEADLINE_S < sum(clock.waits)


def test_a_kms_that_does_not_answer_is_given_up_in_time(
    kms: ScriptedKms, signer: KmsSigner
) -> None:
    signer.address()
    kms.will("Sign", *[Silence()] * 50)
    began = time.monotonic()
    with pytest.raises(SignerUnavailable, match="ReadTimeoutError"):
        signer.sign_hash(DIGEST)
    assert time.monotonic() - began < MOST_REQUESTS * 0.5 + 5
    assert kms.count("Sign") == MOST_REQUESTS
    kms.script.clear()
    assert is_signed(signer), "and it signs when KMS does again"


def test_a_kms_that_is_not_there_is_unavailable(kms: ScriptedKms, clock: TurnedClock) -> None:
    client = LazyClient("kms", Place("eu-central-1", "http://127.0.0.1:9"), Patience(0.5, 0.5, 1))
    signer = KmsSigner("awskms:alias/w", "alias/w", client, clock=clock, wait=clock.wait)
    with pytest.raises(SignerUnavailable, match="EndpointConnectionError"):
        signer.address()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (Refusal("DisabledException"), "the key is disabled"),
        (Refusal("KMSInvalidStateException"), "is in no state to sign"),
        (Refusal("NotFoundException"), "is not there"),
        (Refusal("InvalidKeyUsageException"), "its usage has to be SIGN_VERIFY"),
        (Refusal("AccessDeniedException"), "does not allow the action kms:Sign"),
        (Refusal("ExpiredTokenException"), "does not accept the credentials"),
        (Refusal("UnrecognizedClientException"), "does not accept the credentials"),
        (Refusal("SignatureDoesNotMatch", 403), "does not accept the credentials"),
        (Refusal("InvalidSignatureException"), "does not accept the credentials"),
        (Refusal("ValidationException"), "can't do what was asked"),
    ],
    ids=lambda value: value.code if isinstance(value, Refusal) else "",
)
def test_what_only_a_person_can_mend_is_told_at_once(
    kms: ScriptedKms, signer: KmsSigner, refusal: Refusal, words: str
) -> None:
    kms.will("Sign", refusal)
    with pytest.raises(SignerRefused, match=words):
        signer.sign_hash(DIGEST)
    assert kms.count("Sign") == 1
    assert is_signed(signer), "and it signs when that is mended, without a new start"


@pytest.mark.parametrize(
    "code", ["InvalidSignatureException", "RequestTimeTooSkewed", "RequestExpired"]
)
def test_a_clock_that_is_wrong_is_named_with_how_far_it_is_off(
    kms: ScriptedKms, signer: KmsSigner, code: str
) -> None:
    words = "Signature expired: 20200101T000000Z is now earlier than 20200101T003000Z"
    kms.will("DescribeKey", Refusal(code, 400, words, "Wed, 01 Jan 2020 00:30:00 GMT"))
    with pytest.raises(
        SignerRefused, match=r"the clock of this machine is wrong \(by \+\d+ s"
    ) as c:
        signer.address()
    assert "Set the clock" in str(c.value)
    assert kms.count("DescribeKey") == 1


def test_neither_errors_nor_their_causes_show_what_aws_said_in_words(
    kms: ScriptedKms, signer: KmsSigner
) -> None:
    quoted = f"the string to sign is x-amz-security-token:{ENVIRONMENT['AWS_SESSION_TOKEN']}"
    refused = ("InvalidSignatureException", "SignatureDoesNotMatch", "Odd", "DisabledException")
    shown = ""
    for code in refused:
        kms.will("Sign", Refusal(code, 400, quoted))
        with pytest.raises(ChainError) as caught:
            signer.sign_hash(DIGEST)
        shown += "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "string to sign" not in shown
    assert [name for name, value in ENVIRONMENT.items() if "KEY" in name and value in shown] == []
    assert ENVIRONMENT["AWS_SESSION_TOKEN"] not in shown


def test_without_credentials_or_region_it_says_so(
    kms: ScriptedKms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ConfigurationError, match=r"KMS: add \?region=.* AWS_DEFAULT_REGION"):
        open_kms_signer("awskms:alias/writer").address()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    uri = f"awskms:alias/writer?region=eu-central-1&endpoint_url={kms.endpoint_url}"
    with pytest.raises(ConfigurationError, match="finds no credentials for AWS"):
        open_kms_signer(uri).address()
    assert kms.asked == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AWS_PROFILE", "nosuch", "profile that it should use .ProfileNotFound.: see AWS_PROFILE"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:99999/", "address of KMS that boto3 found"),
        ("AWS_ENDPOINT_URL_KMS", "http://[::1", "address of KMS that boto3 found|KMS can't do"),
    ],
)
def test_a_setting_of_boto3_that_cant_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv(name, value)
    with pytest.raises(ChainError, match=told) as caught:
        open_kms_signer("awskms:alias/writer").address()
    assert value not in "".join(traceback.format_exception(caught.value))


def test_a_high_s_is_turned_into_the_low_one(kms: ScriptedKms, signer: KmsSigner) -> None:
    def turned(is_high: bool) -> Change:
        def change(body: Body) -> Body:
            r, s = decode_dss_signature(base64.b64decode(body["Signature"]))
            s = max(s, ORDER - s) if is_high else min(s, ORDER - s)
            return with_signature(encode_dss_signature(r, s))(body)

        return change

    for is_high in (True, False) * 8:
        kms.will("Sign", turned(is_high))
        parity, r, s = signer.sign_hash(DIGEST)
        assert s <= HALF_ORDER
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + parity])
        assert find_signer(DIGEST, signature) == signer.address()


def _malformed() -> dict[str, bytes]:
    good = encode_dss_signature(5, 7)
    return {
        "empty": b"",
        "no DER": b"\x00" * 64,
        "cut": good[:-1],
        "trailing byte": good + b"\0",
        "negative": bytes.fromhex("3006020185020107"),
        "padded": bytes.fromhex("300702020005020107"),
        "long length": bytes.fromhex("308106020105020107"),
        "indefinite length": bytes.fromhex("30800201050201070000"),
        "three numbers": bytes.fromhex("3009020105020107020101"),
        "r is 0": encode_dss_signature(0, 7),
        "s is 0": encode_dss_signature(5, 0),
        "r is the order": encode_dss_signature(ORDER, 7),
        "s beyond the order": encode_dss_signature(5, ORDER + 7),
        "40 bytes of r": encode_dss_signature(1 << 319, 7),
    }


def test_malformed_signatures_are_refused(kms: ScriptedKms, signer: KmsSigner) -> None:
    for what, signature in _malformed().items():
        kms.will("Sign", with_signature(signature))
        with pytest.raises(SignatureRefused, match=r"no ECDSA signature in DER|out of their range"):
            signer.sign_hash(DIGEST)
        assert kms.script["Sign"] == type(kms.script["Sign"])(), what
    assert is_signed(signer)


def test_any_flipped_byte_of_a_signature_is_refused(kms: ScriptedKms, signer: KmsSigner) -> None:
    address, good = signer.address(), kms.sign(DIGEST)
    assert to_chain_form(*parse_signature(good), DIGEST, address)
    for place in range(len(good)):
        for flip in (0x01, 0x80):
            bad = bytearray(good)
            bad[place] ^= flip
            with pytest.raises(SignatureRefused):
                to_chain_form(*parse_signature(bytes(bad)), DIGEST, address)


def test_an_answer_by_another_key_or_over_another_digest_is_refused(
    kms: ScriptedKms, signer: KmsSigner
) -> None:
    other = ScriptedKms()
    hashed_again = hashlib.sha256(DIGEST).digest()
    for signature in (other.sign(DIGEST), kms.sign(hashed_again)):
        kms.will("Sign", with_signature(signature))
        with pytest.raises(SignatureRefused, match="is not by the key 0x"):
            signer.sign_hash(DIGEST)
    kms.will("Sign", lambda body: {**body, "KeyId": KEY_ARN[:-1] + "c"})
    with pytest.raises(SignatureRefused, match="by another key of KMS"):
        signer.sign_hash(DIGEST)
    assert is_signed(signer)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), None], ids=["another curve", "no key at all"])
def test_a_public_key_of_another_kind_is_refused_whatever_its_description_says(
    kms: ScriptedKms, signer: KmsSigner, curve: ec.EllipticCurve | None
) -> None:
    public = b"no key"
    if curve is not None:
        key = ec.generate_private_key(curve).public_key()
        public = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    told = base64.b64encode(public).decode()
    kms.will("GetPublicKey", lambda body: {**body, "PublicKey": told})
    with pytest.raises(SignerRefused, match="none of the curve secp256k1"):
        signer.address()


def test_a_key_that_was_put_out_of_use_behind_its_alias_says_that_the_alias_moved(
    kms: ScriptedKms, signer: KmsSigner
) -> None:
    signer.address()
    kms.will("Sign", Refusal("DisabledException"))
    kms.will("DescribeKey", lambda body: {"KeyMetadata": {"Arn": KEY_ARN[:-1] + "c"}})
    with pytest.raises(SignerRefused, match="Its alias names another key by now"):
        signer.sign_hash(DIGEST)


def test_threads_that_begin_at_once_look_for_the_key_once(
    kms: ScriptedKms, signer: KmsSigner
) -> None:
    threads = [threading.Thread(target=signer.address) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kms.asked == ["DescribeKey", "GetPublicKey"]
