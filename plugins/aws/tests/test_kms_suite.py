"""A key in KMS passes what every signer must, in this process and over a socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.plugin_host import PluginHost
from chain_client.signing import open_signer
from chain_client.testing.signer_suite import KeyUnderTest, SignerSuite
from mlops_chain_aws.testing.stand_in import ENVIRONMENT, StandIn

SECRETS = (ENVIRONMENT["AWS_SECRET_ACCESS_KEY"], ENVIRONMENT["AWS_SESSION_TOKEN"])


def _key(aws: StandIn) -> KeyUnderTest:
    one, two = aws.make_key(), aws.make_key()
    gone = one.rpartition("/")[0] + "/00000000-0000-4000-8000-000000000000"
    one, two, gone = (f"awskms:{arn}?{aws.query}" for arn in (one, two, gone))
    return KeyUnderTest(
        open=lambda: open_signer(one, base=Path()),
        other=lambda: open_signer(two, base=Path()),
        missing=lambda: open_signer(gone, base=Path()),
        secrets=SECRETS,
    )


class TestInThisProcess(SignerSuite):
    @pytest.fixture
    def key(self, aws: StandIn, plugins: PluginHost) -> KeyUnderTest:
        return _key(aws)
