"""The form of a connection of type ``mlops_chain``: its fields, and how it shows Airflow's own.

The names of hidden fields contain ``secret``, for by such words Airflow itself masks values in logs
and answers of its API. Knows no Airflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CONN_TYPE = "mlops_chain"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the form; its value stands in the connection's extra.

    Args:
        label: what people see.
        help: what belongs there.
        setting: key of the setting that it sets; empty: none.
        is_hidden: whether it may hold a secret.
    """

    label: str
    help: str
    setting: str = ""
    is_hidden: bool = False


FIELDS: Mapping[str, Field] = {
    "home": Field(
        "Home folder",
        "Absolute path of the deployment's home on the workers. Empty: that of [mlops_chain] home, "
        "else MLOPS_CHAIN_HOME.",
    ),
    "ledger_url": Field(
        "Ledger URL",
        "Where the chain is, if not as the home's config.toml says: https://…, several separated "
        "by commas.",
        "ledger.url",
    ),
    "secret_ledger_url": Field(
        "Ledger URL with an access key",
        "Instead of Ledger URL, where a URL holds an access key.",
        "ledger.url",
        is_hidden=True,
    ),
    "secret_ledger_headers": Field(
        "Ledger headers",
        'HTTP headers for the chain\'s endpoints: `Name: value`; several as {"Name": "value", …}.',
        "ledger.headers",
        is_hidden=True,
    ),
    "secret_log_url": Field(
        "Log URL",
        "SQLAlchemy URL of the log's database, if not as the home's config.toml says.",
        "log.url",
        is_hidden=True,
    ),
    "requester_key": Field(
        "Requester's key",
        "Key that asks for promotions, by URI: keystore:<path>, a relative path belongs to the "
        "home. The connection's password unlocks it; empty: the file `password` beside it.",
    ),
    "breaker_key": Field(
        "Breaker's key",
        "Key that revokes versions, by URI; unlocked like the requester's.",
    ),
    "registrar_key": Field(
        "Registrar's key",
        "Key that registers versions, by URI; empty: the home's.",
        "registry.registrar",
    ),
    "submitter_key": Field(
        "Submitter's key",
        "Key that sends what others signed, by URI; empty: the home's.",
        "registry.submitter",
    ),
    "tracking_uri": Field(
        "Tracking URI",
        "MLflow database in which models are looked for; empty: all that record into the home. "
        "Without a password.",
    ),
    "explorer_url": Field(
        "Explorer URL",
        "Address of the chain's block explorer, such as https://etherscan.io, for the link of "
        "each task. {tx_hash} stands for a transaction's hash where it does not follow /tx/.",
    ),
}
"""The fields of the form, in their order."""


@dataclass(frozen=True, slots=True)
class Form:
    """How the form shows Airflow's own fields.

    Args:
        hidden: fields of which nothing is used.
        relabelled: what another one is called here.
        placeholders: what an empty field shows.
    """

    hidden: tuple[str, ...]
    relabelled: Mapping[str, str]
    placeholders: Mapping[str, str]


FORM = Form(
    hidden=("host", "port", "login", "schema"),
    relabelled={"password": "Password of the keys"},
    placeholders={
        "home": "/srv/mlops-chain",
        "ledger_url": "https://rpc.example",
        "requester_key": "keystore:keys/requester.json",
        "tracking_uri": "http://mlflow.example:5000",
        "explorer_url": "https://etherscan.io",
        "password": "empty: the file `password` beside the key",
    },
)
