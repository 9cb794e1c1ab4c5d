"""Machines that share a log share its payload store, or say that they do not reach it."""

from __future__ import annotations

import json

import pytest

from chain_client import ChainClient
from chain_client.config import Settings
from chain_client.deploying.joining import Invitation, invite, join
from chain_client.deploying.network import deploy_to_network
from chain_client.errors import ConfigurationError, PayloadStoreUnavailable, PayloadsUnavailable
from chain_client.events import Subject
from tests.integration.network.conftest import Place
from tests.postgres import Postgres


def test_a_store_that_all_machines_reach_comes_with_the_file_and_another_one_is_refused(
    place: Place, postgres: Postgres
) -> None:
    place.give_keys()
    shared, log_url = place.folder / "payloads", postgres.uri(postgres.create(), "psycopg")
    first = place.settings(
        log_url=log_url, log_payloads=f"file:{shared}", log_payloads_from_bytes="40"
    )
    with pytest.raises((ConfigurationError, PayloadStoreUnavailable), match="payloads"):
        deploy_to_network(first)  # nothing was sent: the folder is not there
    shared.mkdir()
    deploy_to_network(first)
    client = ChainClient.open(first)
    client.recorder.note("toy.noted", Subject("", "toy", "one"), {"of": "first"})
    client.recorder.close()
    relay = client.relay()
    relay.start()
    relay.run_round()
    relay.run_round()
    assert client.log.size() == 3
    relay.close()
    invitation = invite(first)
    assert json.loads(invitation.to_json())["schema_version"] == 2
    file = place.folder / "join.json"
    file.write_text(invitation.to_json())

    second = place.settings("second", log_url=log_url, relay_anchor="never")
    join(second, Invitation.read(file))
    config = (second.home / "config.toml").read_text()
    assert f'payloads = "file:{shared}"\n' in config
    found = Settings.from_environment({}, place.folder, home=second.home)
    assert found.log_payloads_from_bytes == 40
    other = ChainClient.open(
        place.settings(
            "second", log_url=log_url, relay_anchor="never", log_payloads=f"file:{shared}"
        )
    )
    events = [entry.event for entry in other.log.entries()]
    assert events == [entry.event for entry in client.log.entries()]
    assert None not in events
    other.close()
    client.close()

    elsewhere = place.folder / "elsewhere"
    elsewhere.mkdir()
    wrong = place.settings("third", log_url=log_url, log_payloads=f"file:{elsewhere}")
    with pytest.raises(PayloadsUnavailable):
        join(wrong, Invitation.read(file))
    own = place.settings(log_url=log_url, log_payloads="file:payloads")
    assert "log.payloads" not in invite(own).settings  # a folder of that machine alone
    with pytest.raises(ConfigurationError, match="MLOPS_CHAIN_LOG_PAYLOADS"):
        join(place.settings("third", log_url=log_url), invite(own))
    assert not wrong.home.exists()
