"""Homes as earlier versions of mlops-chain made them."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from chain_client import Settings
from chain_client.home import OWNER_KEY, WRITER_KEY, Home
from chain_client.ledger import create_embedded, open_ledger
from chain_client.ledger.deployment import Deployment, deploy
from chain_client.log import Log
from chain_client.signing import create_keystore, open_signer
from tests.queues import own


def settings_of(home: Path) -> Settings:
    """Settings of a home in which no relay starts by itself."""
    environment = {"MLOPS_CHAIN_RELAY_AUTOSTART": "false"}
    return Settings.from_environment(environment, home.parent, home=home)


def make_home_without_registry(settings: Settings) -> Deployment:
    """A home of schema version 1: chain, log and their keys, and nothing of a registry."""
    home = Home(settings.home)
    home.create_folders()
    keys = [
        create_keystore(home.path / uri.removeprefix("keystore:"))
        for uri in (OWNER_KEY, WRITER_KEY)
    ]
    log = Log(settings.resolve_url(settings.log_url))
    log.create()
    log.close()
    url = settings.resolve_url(settings.ledger_url)
    create_embedded(
        Path(url.removeprefix("embedded:")), chain_id=secrets.randbits(31) | 1 << 30, funded=keys
    )
    ledger = open_ledger(settings)
    owner = own(home.path / "log.db", ledger, signer=open_signer(OWNER_KEY, base=home.path))
    deployment = deploy(
        home.deployment_file,
        ledger=ledger,
        ledger_url=settings.ledger_url,
        queue=owner.queue,
        writer=keys[1],
    )
    owner.log.release(owner.lease)
    owner.log.close()
    ledger.close()
    content = json.loads(home.deployment_file.read_text("utf-8"))
    known = {name: value for name, value in content.items() if "regist" not in name}
    del known["timelock"]
    home.deployment_file.write_text(json.dumps(known | {"schema_version": 1}))
    return deployment
