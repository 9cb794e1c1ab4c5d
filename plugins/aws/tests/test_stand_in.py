"""The stand-in for AWS: what is mended of moto, and that the bug is still there."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key
from moto import mock_aws

from mlops_chain_aws.testing.stand_in import StandIn

DIGEST = hashlib.sha256(b"signed as it is").digest()


def _signs_the_digest_itself(aws: StandIn) -> bool:
    arn, kms = aws.make_key(), aws.client("kms")
    answer = kms.sign(
        KeyId=arn, Message=DIGEST, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
    )
    key: Any = load_der_public_key(kms.get_public_key(KeyId=arn)["PublicKey"])
    try:
        key.verify(answer["Signature"], DIGEST, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    except InvalidSignature:
        return False
    return True


def test_moto_itself_hashes_a_digest_again() -> None:
    """When this fails, moto is mended: then `signing_digests` can go."""
    with mock_aws():
        assert not _signs_the_digest_itself(StandIn())


def test_in_this_process_a_digest_is_signed_as_it_is(aws: StandIn) -> None:
    assert _signs_the_digest_itself(aws)


def test_the_server_signs_a_digest_as_it_is_and_ends_when_it_is_told() -> None:
    command = [sys.executable, "-m", "mlops_chain_aws.testing.stand_in"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            endpoint = server.stdout.readline().decode().strip()
            assert _signs_the_digest_itself(StandIn(endpoint))
        finally:
            server.terminate()
        assert server.wait(timeout=20) == 0
