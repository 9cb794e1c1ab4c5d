"""A company with keys that need no password, and its registered model, made past Airflow."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from chain_client.signing import create_keystore
from chain_client.types import to_hex
from tests.airflow_home import open_chain
from tests.integration.airflow.embedded_team import EmbeddedTeam

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # MLflow's own imports warn about its own dependencies
    from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

VERSIONS = range(1, 6)
_POLICY = """
[groups]
risk = ["bob", "carol"]
[default."alias:champion"]
group = "risk"
approvals = 2
"""


class QuickTeam(EmbeddedTeam):
    """The same people, whose keys are unlocked at once; Ada may revoke, too."""

    def appoint(self) -> None:
        """Make people's keys, and give them their rights by the policy."""
        for name in ("ada", "bob", "carol"):
            self.run("user", "bind", name, to_hex(create_keystore(self.key(name))))
        for role in ("requester", "breaker"):
            self.run("role", "grant", role, "ada")
        (self.folder / "policy.toml").write_text(_POLICY)
        self.run("policy", "apply", str(self.folder / "policy.toml"), "--yes")

    @property
    def password(self) -> str:
        """Of everybody's key; it also lies beside them."""
        return (self.folder / "password").read_text().strip()

    def extra(self, **more: str) -> dict[str, str]:
        """The fields of an Airflow connection with which Ada asks, and revokes."""
        key = f"keystore:{self.key('ada')}"
        return {"home": str(self.home), "requester_key": key, "breaker_key": key, **more}


def to_connection(extra: Mapping[str, str], password: str | None = None) -> str:
    """An Airflow connection, as an environment variable holds it."""
    return json.dumps({"conn_type": "mlops_chain", "password": password, "extra": dict(extra)})


def make_model(team: EmbeddedTeam) -> None:
    """A model ``fraud`` in a recorded MLflow, with a folder of files for each version."""
    import mlflow_chain

    uri = f"sqlite:///{team.folder}/mlflow.db"
    tracking: Any = SqlAlchemyStore
    tracking(uri, str(team.folder / "artifacts"))._dispose_engine()
    client = open_chain(team.home)
    plain: Any = RegistryStore
    store: Any = mlflow_chain.wrap(plain(uri), client)
    store.create_registered_model("fraud")
    for number in VERSIONS:
        files = team.folder / "files" / str(number)
        files.mkdir(parents=True)
        (files / "model.txt").write_text(f"weights {number}")
        store.create_model_version("fraud", files.as_uri())
    store.engine.dispose()
    client.recorder.close()
    client.close()


def champion(team: EmbeddedTeam) -> int | None:
    """What MLflow says."""
    query = "select version from registered_model_aliases where name = 'fraud'"
    with closing(sqlite3.connect(team.folder / "mlflow.db")) as database:
        found = database.execute(query).fetchall()
    return found[0][0] if found else None
