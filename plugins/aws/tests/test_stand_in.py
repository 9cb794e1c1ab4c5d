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


def _checksum_types(aws: StandIn) -> list[str | None]:
    """What HEAD says of the checksums of an object, of one of parts, and of one without any."""
    s3, bucket = aws.client("s3"), aws.make_bucket("checksums")
    s3.put_object(Bucket=bucket, Key="whole", Body=b"x", ChecksumAlgorithm="SHA256")
    begun = s3.create_multipart_upload(Bucket=bucket, Key="parts", ChecksumAlgorithm="SHA256")
    named = {"Bucket": bucket, "Key": "parts", "UploadId": begun["UploadId"]}
    part = s3.upload_part(**named, PartNumber=1, Body=b"x", ChecksumAlgorithm="SHA256")
    parts = [{"ETag": part["ETag"], "PartNumber": 1}]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    heads = [
        s3.head_object(Bucket=bucket, Key=key, ChecksumMode=mode)
        for key, mode in (("whole", "ENABLED"), ("parts", "ENABLED"), ("whole", ""))
    ]
    return [head.get("ChecksumType") for head in heads]


def test_moto_itself_does_not_say_of_what_a_checksum_is() -> None:
    """When this fails, moto is mended: then `telling_checksum_types` can go."""
    with mock_aws():
        assert _checksum_types(StandIn())[0] is None


def test_the_stand_in_says_of_what_a_checksum_is_as_s3_does(aws: StandIn) -> None:
    assert _checksum_types(aws) == ["FULL_OBJECT", "COMPOSITE", None]


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
