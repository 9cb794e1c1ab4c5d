"""A further machine's home for a deployment that another machine has made.

The file that is carried over holds no secret: the deployment, the settings that all machines
share, and which key has which role. Keys and salt are handed over by the operator, apart from it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chain_client.config import CONFIG_FILE, Settings
from chain_client.deploying.owner import find_address, is_network
from chain_client.deploying.payload_setting import (
    PAYLOAD_SETTINGS,
    check_place,
    find_place,
    to_share,
)
from chain_client.errors import (
    ConfigurationError,
    HomeMismatch,
    HomeNotWritable,
    InvalidInput,
    SchemaTooNew,
)
from chain_client.gate.sealed_file import Seal
from chain_client.head_check import read_checked_head
from chain_client.home import OWNER_KEY, Home, write_private
from chain_client.ledger import open_ledger
from chain_client.ledger.deployment import OPEN_LOG_PURPOSE, Deployment, check_deployment
from chain_client.ledger.event_log import EventLogContract
from chain_client.log import Log
from chain_client.registry.identity import read_salt
from chain_client.types import to_hex

SCHEMA_VERSION = 2
"""2: with a payload store. Without one 1 is written, which every version reads."""
_KIND = "mlops-chain deployment"
_SHARED = ("ledger.finality", "gate.mode", "gate.finality", *PAYLOAD_SETTINGS)
_DEFAULTS = {
    "ledger.finality": "auto",
    "gate.mode": "auto",
    "gate.finality": "finalized",
    **dict.fromkeys(PAYLOAD_SETTINGS, ""),
}


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a machine needs to join, without any secret.

    Args:
        deployment: which contracts on which chain hold which log.
        settings: what all machines have to agree on, by key.
        keys: address of each role's key, as far as the first machine knew it.
    """

    deployment: Deployment
    settings: dict[str, str]
    keys: dict[str, str]

    def to_json(self) -> str:
        """The file's content."""
        content = {
            "schema_version": 2 if self.settings.keys() & set(PAYLOAD_SETTINGS) else 1,
            "kind": _KIND,
            "deployment": json.loads(self.deployment.to_json()),
            "settings": self.settings,
            "keys": self.keys,
        }
        return json.dumps(content, indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Invitation:
        """The invitation in a file.

        Raises:
            SchemaTooNew: a newer version of mlops-chain wrote it.
            ConfigurationError: it can't be read, or is damaged or no invitation.
        """
        try:
            content: dict[str, Any] = json.loads(path.read_text("utf-8"))
            if content["kind"] != _KIND:
                raise ValueError
            if content["schema_version"] > SCHEMA_VERSION:
                raise SchemaTooNew(
                    f"{path} has schema version {content['schema_version']}, this mlops-chain "
                    f"knows up to {SCHEMA_VERSION}: upgrade it with pip install -U mlops-chain"
                )
            settings, keys = dict(content["settings"]), dict(content["keys"])
            if not all(isinstance(v, str) for v in [*settings.values(), *keys.values()]):
                raise ValueError
            if not settings.keys() <= set(_SHARED):
                raise ValueError
            return cls(Deployment.from_json(json.dumps(content["deployment"])), settings, keys)
        except OSError as exc:
            raise ConfigurationError(f"{path} can't be read: {exc.strerror or exc}") from exc
        except (ValueError, KeyError, TypeError) as exc:
            raise ConfigurationError(
                f"{path} is damaged, or is no file that `mlops-chain join --make` wrote"
            ) from exc


def invite(settings: Settings) -> Invitation:
    """The invitation of a home.

    Raises:
        HomeMissing: nothing was deployed here.
        ConfigurationError: its chain is embedded, so no other machine can reach it; or nobody
            knows its payload store.
    """
    home = Home(settings.home)
    deployment = Deployment.read(home.deployment_file)
    if deployment.ledger_url.startswith("embedded:"):
        raise ConfigurationError(
            "the chain is embedded in this home: other machines can't reach it. Deploy to a "
            "network to use several (mlops-chain deploy)"
        )
    values = {
        "ledger.finality": settings.ledger_finality,
        "gate.mode": settings.gate_mode,
        "gate.finality": settings.gate_finality,
        **to_share(settings),
    }
    keys = {"owner": to_hex(deployment.owner), "log-writer": to_hex(deployment.writer)}
    for role, uri in (
        ("registrar", settings.registry_registrar),
        ("submitter", settings.registry_submitter),
    ):
        address = find_address(home, uri)
        if address is not None:
            keys[role] = to_hex(address)
    shared = {key: value for key, value in values.items() if value != _DEFAULTS[key]}
    return Invitation(deployment, shared, keys)


def join(settings: Settings, invitation: Invitation, salt_file: Path | None = None) -> Deployment:
    """Make this machine's home for a deployment; the deployment's file is written last.

    Guarantee: no key is made and nothing is sent. Chain, contracts and log are seen to be the
    deployment's before anything is written. Joining again changes nothing but a salt that was
    missing.

    Args:
        settings: with this machine's `ledger.url` and `log.url`.
        invitation: of the deployment.
        salt_file: the deployment's salt, if the operator has handed it over.

    Raises:
        HomeMismatch: the home is of another deployment.
        ConfigurationError: a setting is missing, or leads to another chain or log; or the salt is
            another one.
        HomeNotWritable: the home can't be written.
        LedgerUnavailable: the chain does not answer.
        LogUnavailable: the log's database does not answer.
        LogMismatch: log and chain contradict each other.
    """
    home, deployment = Home(settings.home), invitation.deployment
    _check_settings(settings)
    salt = None if salt_file is None else read_salt(salt_file)
    if salt is not None:
        if deployment.registry_salt_hash is None:
            raise InvalidInput("the deployment has no registry, and so no salt")
        salt.check(deployment.registry_salt_hash)
    _check_evidence(settings, invitation)
    home.create_folders()
    with home.locked():
        if home.exists():
            found = Deployment.read(home.deployment_file)
            if found.deployment_id != deployment.deployment_id:
                raise HomeMismatch(
                    f"the home {home.path} is of deployment {found.deployment_id}, and the file of "
                    f"{deployment.deployment_id}: name another home by --home"
                )
        if salt is not None:
            write_private(home.registry_salt, salt.value.hex() + "\n")
        if deployment.registry is not None:
            Seal(home.gate_seal).provide()
        _write_config(home, invitation)
        write_private(home.joined_file, invitation.to_json())
        if not home.exists():
            deployment.write(home.deployment_file)
    return Deployment.read(home.deployment_file)


def missing_here(settings: Settings) -> dict[str, str]:
    """What this home can't do, by the file that it lacks."""
    home = Home(settings.home)
    roles = {
        OWNER_KEY: "administer contracts, and explain findings",
        settings.log_writer: "anchor: let its relay only ingest (relay.anchor = never)",
        settings.registry_registrar: "propose versions",
        settings.registry_submitter: "bring approvals and promotions to the chain (sync)",
    }
    lacking = {
        uri.rpartition(":")[2]: what
        for uri, what in roles.items()
        if find_address(home, uri) is None
    }
    if not home.registry_salt.exists():
        lacking["keys/registry-salt"] = "name models or targets: no gate, no proposals, no sync"
    return lacking


def _check_settings(settings: Settings) -> None:
    if not is_network(settings):
        raise ConfigurationError(
            "ledger.url names no network: set it (MLOPS_CHAIN_LEDGER_URL, or ledger.url in "
            f"{settings.home / CONFIG_FILE}) to endpoints that this machine uses, and run it again"
        )
    url = settings.resolve_url(settings.log_url)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise ConfigurationError(
            "log.url names no database of the deployment's log: set it (MLOPS_CHAIN_LOG_URL, or "
            f"log.url in {settings.home / CONFIG_FILE}) to the one that all machines share"
        )


def _check_evidence(settings: Settings, invitation: Invitation) -> None:
    deployment = invitation.deployment
    place = find_place(settings, invitation.settings)
    log = Log(settings.resolve_url(settings.log_url), payloads=place)
    ledger = open_ledger(settings, expected=deployment.expected())
    try:
        check_deployment(ledger, deployment)
        log.check_schema()
        if not _knows(log, deployment):
            raise ConfigurationError(
                "log.url names a log, but not this deployment's: nothing in it opened the log "
                f"{to_hex(deployment.log_id)} on chain"
            )
        check_place(log, settings.home)
        read_checked_head(log, EventLogContract(ledger, deployment.event_log), deployment.log_id)
    finally:
        ledger.close()
        log.close()


def _knows(log: Log, deployment: Deployment) -> bool:
    """Whether the log's database sent the transaction that opened the deployment's log."""
    from sqlalchemy import exists, select

    from chain_client.log.schema import transactions

    purpose = OPEN_LOG_PURPOSE + to_hex(deployment.log_id)
    with log.engine.connect() as connection:
        asked = select(exists().where(transactions.c.purpose == purpose))
        return bool(connection.execute(asked).scalar_one())


def _write_config(home: Home, invitation: Invitation) -> None:
    """The settings that all machines share, where this one has no file of its own yet."""
    path = home.path / CONFIG_FILE
    if path.exists() or not invitation.settings:
        return
    sections: dict[str, list[str]] = {}
    for key, value in invitation.settings.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, []).append(f"{name} = {json.dumps(value)}")
    text = "\n".join(f"[{name}]\n" + "\n".join(rows) + "\n" for name, rows in sections.items())
    try:
        write_private(path, text)
    except OSError as exc:
        raise HomeNotWritable(f"{path} can't be written") from exc
