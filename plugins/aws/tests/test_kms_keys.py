"""Which keys of KMS are taken, by which names, and what becomes of a name that moves."""

from __future__ import annotations

import hashlib

import pytest

from chain_client.errors import ConfigurationError, SignerRefused
from chain_client.signing import Signer
from chain_client.signing.eip712 import find_signer, sign_digest
from chain_client.types import to_hex
from mlops_chain_aws.kms import open_kms_signer
from mlops_chain_aws.testing.stand_in import REGION, StandIn

DIGEST = hashlib.sha256(b"a head").digest()
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
ARN = f"arn:aws:kms:us-east-2:111122223333:key/{KEY_ID}"


def named(key: str, aws: StandIn, **query: str) -> Signer:
    """A signer by a name, in the stand-in."""
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return open_kms_signer(f"awskms:{key}?{aws.query}{more}")


def signed_by(signer: Signer) -> object:
    """Whose signature it makes."""
    return find_signer(DIGEST, sign_digest(signer, DIGEST))


def test_id_alias_and_arns_name_the_same_key(aws: StandIn) -> None:
    arn = aws.make_key(alias="team/writer_1")
    key_id, place = arn.rpartition("/")[2], arn.rpartition(":")[0]
    names = (arn, key_id, "alias/team/writer_1", f"{place}:alias/team/writer_1")
    assert len({named(name, aws).address() for name in names}) == 1
    assert len({signed_by(named(name, aws)) for name in names}) == 1


def test_an_arn_says_the_region(aws: StandIn) -> None:
    arn = aws.make_key()
    assert REGION in arn
    assert len(open_kms_signer(f"awskms:{arn}").address()) == 20


@pytest.mark.parametrize(
    "uri",
    [
        "awskms:",
        "awskms:writer",
        "awskms:alias/",
        "awskms:alias/aws/s3",
        "awskms:alias/two words",
        f"awskms:{KEY_ID[:-1]}",
        f"awskms://{KEY_ID}",
        f"awskms:{ARN}/more",
        f"awskms:{ARN.replace(':kms:', ':s3:')}",
        f"awskms:{ARN.replace('111122223333', 'me')}",
        f"awskms:{ARN}?region=eu-central-1",
        f"awskms:{KEY_ID}?regoin=eu-central-1",
        f"awskms:{KEY_ID}?region=",
        f"awskms:{KEY_ID}?region",
        f"awskms:{KEY_ID}?region=a&region=b",
        f"awskms:{KEY_ID}?address=0x1234",
        f"awskms:{KEY_ID}?address=writer",
        f"awskms:{KEY_ID}?endpoint_url=kms.example",
        f"awskms:{KEY_ID}?endpoint_url=ftp://kms.example",
        f"awskms:{KEY_ID}?endpoint_url=https://me:hunter2@kms.example",
        f"awskms:{KEY_ID}?endpoint_url=https://kms.example:port",
    ],
)
def test_what_names_no_key_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(ConfigurationError, match="awskms: URI") as caught:
        open_kms_signer(uri)
    shown = str(caught.value)
    assert "hunter2" not in shown
    assert KEY_ID not in shown


@pytest.mark.parametrize(
    ("spec", "usage", "what"),
    [
        ("ECC_NIST_P256", "SIGN_VERIFY", "KeySpec is ECC_NIST_P256"),
        ("ECC_NIST_P384", "SIGN_VERIFY", "KeySpec is ECC_NIST_P384"),
        ("RSA_2048", "SIGN_VERIFY", "KeySpec is RSA_2048"),
        ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "KeySpec is SYMMETRIC_DEFAULT"),
        ("ECC_SECG_P256K1", "ENCRYPT_DECRYPT", "KeyUsage is ENCRYPT_DECRYPT"),
    ],
)
def test_a_key_of_another_curve_or_usage_is_refused(
    aws: StandIn, spec: str, usage: str, what: str
) -> None:
    signer = named(aws.make_key(spec=spec, usage=usage), aws)
    with pytest.raises(SignerRefused, match=what):
        signer.address()
    with pytest.raises(SignerRefused, match="has to be"):
        signer.sign_hash(DIGEST)


def test_a_key_that_is_disabled_or_deleted_soon_is_refused_until_it_is_back(aws: StandIn) -> None:
    arn, kms = aws.make_key().rpartition("/")[2], aws.client("kms")
    signer = named(arn, aws)
    kms.disable_key(KeyId=arn)
    with pytest.raises(SignerRefused, match="KeyState is Disabled, and has to be Enabled"):
        signer.sign_hash(DIGEST)
    kms.enable_key(KeyId=arn)
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    with pytest.raises(SignerRefused, match="KeyState is PendingDeletion"):
        signer.sign_hash(DIGEST)
    kms.cancel_key_deletion(KeyId=arn)
    kms.enable_key(KeyId=arn)
    assert signed_by(signer) == signer.address()


def test_a_key_or_alias_that_is_not_there_is_refused(aws: StandIn) -> None:
    for name in (KEY_ID, "alias/nobody"):
        with pytest.raises(SignerRefused, match="or not in the region eu-central-1 and"):
            named(name, aws).address()


def test_a_key_whose_address_is_not_the_configured_one_is_refused(aws: StandIn) -> None:
    arn, other = aws.make_key(), aws.make_key()
    right, wrong = (to_hex(named(key, aws).address()) for key in (arn, other))
    assert signed_by(named(arn, aws, address=right)) == named(arn, aws).address()
    signer = named(arn, aws, address=wrong)
    with pytest.raises(SignerRefused, match=f"is now the key {right}, which is not the address"):
        signer.sign_hash(DIGEST)


def test_an_alias_that_moves_between_two_signers_gives_each_its_key(aws: StandIn) -> None:
    old, new = aws.make_key(alias="writer"), aws.make_key()
    before = named("alias/writer", aws).address()
    aws.client("kms").update_alias(AliasName="alias/writer", TargetKeyId=new)
    after = named("alias/writer", aws)
    assert signed_by(after) == after.address() == named(new, aws).address()
    assert before == named(old, aws).address() != after.address()
    with pytest.raises(SignerRefused, match="not the address"):
        named("alias/writer", aws, address=to_hex(before)).address()


def test_an_alias_that_moves_while_a_signer_lives_leaves_it_the_key_it_began_with(
    aws: StandIn,
) -> None:
    aws.make_key(alias="writer")
    signer = named("alias/writer", aws)
    address = signer.address()
    kms = aws.client("kms")
    kms.update_alias(AliasName="alias/writer", TargetKeyId=aws.make_key())
    assert signed_by(signer) == signer.address() == address
    kms.delete_alias(AliasName="alias/writer")
    assert signed_by(signer) == address
