"""The key that anchors on the second chain is none that the first chain knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chain_client.client import ChainClient
from chain_client.config import Settings
from chain_client.cross.place import check_key
from chain_client.errors import ConfigurationError
from chain_client.home import OWNER_KEY, WRITER_KEY
from chain_client.signing import create_keystore


@pytest.mark.parametrize(
    "uri", [OWNER_KEY, WRITER_KEY, "keystore:keys/registrar.json", "keystore:keys/submitter.json"]
)
def test_a_key_of_the_first_chain_is_refused(home: Path, uri: str) -> None:
    client = ChainClient.open(replace(Settings(home), relay_autostart=False))
    with pytest.raises(ConfigurationError, match=r"cross\.key"):
        check_key(replace(client.settings, cross_key=uri), client.deployment)
    own = create_keystore(home / "keys" / "cross-writer.json")
    assert check_key(client.settings, client.deployment) == own
    client.close()
