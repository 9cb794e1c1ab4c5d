"""Where the second chain is: its settings, and the file of what was deployed there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from chain_client.config import Settings
from chain_client.errors import ConfigurationError, HomeMissing
from chain_client.home import OWNER_KEY, Home
from chain_client.ledger import Ledger, open_ledger
from chain_client.ledger.deployment import Deployment
from chain_client.ledger.event_log import EventLogContract
from chain_client.signing import open_signer
from chain_client.types import Address, to_hex


@dataclass(frozen=True, slots=True)
class CrossPlace:
    """A second chain, and the log that is kept there.

    Args:
        settings: the home's, with the second chain as its ledger.
        deployment: what was deployed there; its id is the one of the home's deployment.
    """

    settings: Settings
    deployment: Deployment

    def open_ledger(self) -> Ledger:
        """A connection; not yet connected."""
        return open_ledger(self.settings, expected=self.deployment.expected())

    def contract(self, ledger: Ledger) -> EventLogContract:
        """The `EventLog` of the second chain."""
        return EventLogContract(ledger, self.deployment.event_log)


def is_configured(settings: Settings) -> bool:
    """Whether a second chain is named, or something was deployed on one."""
    return bool(settings.cross_ledger_url) or Home(settings.home).cross_deployment_file.exists()


def to_second(settings: Settings) -> Settings:
    """The settings with the second chain as the ledger.

    Raises:
        ConfigurationError: none is named.
    """
    if not settings.cross_ledger_url:
        raise ConfigurationError(
            "cross.ledger_url names no second chain; set it to the URL of one that others keep"
        )
    return replace(
        settings,
        ledger_url=settings.cross_ledger_url,
        ledger_headers=settings.cross_ledger_headers,
        ledger_finality=settings.cross_ledger_finality,
        ledger_second_look="auto",
    )


def check_key(settings: Settings, deployment: Deployment) -> Address:
    """The address of ``cross.key``, which is no key of the first chain's.

    A queue knows what a key sent by its nonces, which are another chain's there: one key that
    signed for both could go on on neither.

    Raises:
        ConfigurationError: it is, or it can't be read.
    """
    base = settings.home
    address = open_signer(settings.cross_key, base=base).address()
    taken = {deployment.owner: "owner", deployment.writer: "log writer"}
    for role, uri in (
        ("owner", OWNER_KEY),
        ("log writer", settings.log_writer),
        ("registrar", settings.registry_registrar),
        ("submitter", settings.registry_submitter),
    ):
        if uri != settings.cross_key:
            with contextlib.suppress(ConfigurationError):
                taken[open_signer(uri, base=base).address()] = role
        else:
            taken[address] = role
    if address in taken:
        raise ConfigurationError(
            f"cross.key ({settings.cross_key}) is the key {to_hex(address)}, which is the "
            f"{taken[address]} on the first chain: a key can send to one chain only. Set cross.key "
            "to another one; the default, keystore:keys/cross-writer.json, is made by mlops-chain "
            "deploy --cross"
        )
    return address


def find_place(
    settings: Settings, deployment: Deployment, file: Path | None = None
) -> CrossPlace | None:
    """The second chain of a home; None if none was ever named.

    Args:
        settings: of the home.
        deployment: of the home.
        file: an auditor's own copy of ``cross-deployment.json``; by default the home's.

    Raises:
        ConfigurationError: only one of setting and file is there, or the file is another home's.
        SchemaTooNew: a newer version of mlops-chain wrote the file.
    """
    if file is None and not is_configured(settings):
        return None
    second = to_second(settings)
    path = file or Home(settings.home).cross_deployment_file
    try:
        found = Deployment.read(path)
    except HomeMissing as exc:
        raise ConfigurationError(
            f"cross.ledger_url names a second chain, but there is no {path}: run mlops-chain "
            "deploy --cross, or put the file back from your backup"
        ) from exc
    if found.deployment_id != deployment.deployment_id:
        raise ConfigurationError(
            f"{path} is of deployment {found.deployment_id}, but the home is of "
            f"{deployment.deployment_id}: put the home's own file back"
        )
    return CrossPlace(second, found)
