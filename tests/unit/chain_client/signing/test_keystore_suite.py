"""The keystore signer passes what every signer must."""

from __future__ import annotations

from pathlib import Path

import pytest

from chain_client.signing import create_keystore, open_signer
from chain_client.testing.signer_suite import KeyUnderTest, SignerSuite


class TestKeystoreSigner(SignerSuite):
    @pytest.fixture
    def key(self, tmp_path: Path) -> KeyUnderTest:
        for name in ("one", "two"):
            create_keystore(tmp_path / f"{name}.json")
        password = (tmp_path / "password").read_text().strip()
        return KeyUnderTest(
            open=lambda: open_signer("keystore:one.json", base=tmp_path),
            other=lambda: open_signer("keystore:two.json", base=tmp_path),
            missing=lambda: open_signer("keystore:three.json", base=tmp_path),
            secrets=(password,),
        )
