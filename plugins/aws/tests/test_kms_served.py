"""A key in KMS behind a socket: the suite, and what other processes see."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.plugin_host import PluginHost
from chain_client.signing import open_signer
from chain_client.testing.signer_suite import KeyUnderTest, SignerSuite
from mlops_chain_aws.testing.stand_in import ENVIRONMENT, StandIn


class TestServed(SignerSuite):
    @pytest.fixture
    def key(self, aws_server: StandIn, plugins: PluginHost) -> KeyUnderTest:
        one, two = (f"awskms:{aws_server.make_key()}?{aws_server.query}" for _ in range(2))
        return KeyUnderTest(
            open=lambda: open_signer(one, base=Path()),
            other=lambda: open_signer(two, base=Path()),
            missing=lambda: open_signer(f"awskms:alias/nobody?{aws_server.query}", base=Path()),
            secrets=(ENVIRONMENT["AWS_SECRET_ACCESS_KEY"], ENVIRONMENT["AWS_SESSION_TOKEN"]),
            signatures=8,
        )
