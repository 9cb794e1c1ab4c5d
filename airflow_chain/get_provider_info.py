"""What this provider brings: read by Airflow through the entry point ``apache_airflow_provider``.

Valid against ``airflow/provider_info.schema.json``; what that schema does not know yet (fields of
the connection form) against ``provider.yaml.schema.json``. No part of Airflow is imported.
"""

from __future__ import annotations

from typing import Any

from airflow_chain.form import CONN_TYPE, FIELDS, FORM

NAME = "MLOps chain"
_SINCE = "0.1.0"


def get_provider_info() -> dict[str, Any]:
    """The provider's metadata, in the form of ``provider_info.schema.json``."""
    return {
        "package-name": "mlops-chain",
        "name": NAME,
        "description": "Gates a model's way to production by approvals on an EVM chain, and "
        "records every DAG run and task in an append-only log that is anchored there.\n",
        "integrations": [
            {"integration-name": NAME, "external-doc-url": "", "tags": ["software"]},
        ],
        "operators": [
            {
                "integration-name": NAME,
                "python-modules": [
                    "airflow_chain.operators.register",
                    "airflow_chain.operators.propose",
                    "airflow_chain.operators.promote",
                    "airflow_chain.operators.revoke",
                    "airflow_chain.operators.verify",
                    "airflow_chain.operators.anchor",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": NAME,
                "python-modules": ["airflow_chain.sensors.promotion"],
            }
        ],
        "hooks": [{"integration-name": NAME, "python-modules": ["airflow_chain.hooks.chain"]}],
        "triggers": [
            {
                "integration-name": NAME,
                "python-modules": [
                    "airflow_chain.triggers.anchoring",
                    "airflow_chain.triggers.approval",
                    "airflow_chain.triggers.promotion_event",
                ],
            }
        ],
        "connection-types": [
            {
                "connection-type": CONN_TYPE,
                "hook-class-name": "airflow_chain.hooks.chain.ChainHook",
                "hook-name": NAME,
                "ui-field-behaviour": {
                    "hidden-fields": list(FORM.hidden),
                    "relabeling": dict(FORM.relabelled),
                    "placeholders": dict(FORM.placeholders),
                },
                "conn-fields": {
                    name: {
                        "label": item.label,
                        "description": item.help,
                        "schema": {
                            "type": ["string", "null"],
                            **({"format": "password"} if item.is_hidden else {}),
                        },
                    }
                    for name, item in FIELDS.items()
                },
            }
        ],
        "extra-links": ["airflow_chain.links.ChainLink"],
        "config": {
            "mlops_chain": {
                "description": "Where Airflow records what happens, and how. Everything else is "
                "configured in the home's config.toml.",
                "options": _OPTIONS,
            }
        },
    }


def _option(description: str, kind: str, default: str, example: str | None) -> dict[str, Any]:
    return {
        "description": description + "\n",
        "version_added": _SINCE,
        "type": kind,
        "example": example,
        "default": default,
    }


_OPTIONS = {
    "home": _option(
        "Home folder in which the listener records, and of connections that name none. Empty: "
        "that of MLOPS_CHAIN_HOME; with neither the listener does nothing.",
        "string",
        "",
        "/srv/mlops-chain",
    ),
    "listener": _option(
        "Whether DAG runs and tasks are recorded.",
        "boolean",
        "True",
        None,
    ),
    "name": _option(
        "What this Airflow is called in the log. Two that record into one log need two names.",
        "string",
        "airflow",
        "airflow-production",
    ),
    "policy": _option(
        "TOML file with rules that say what is recorded of which DAG, task and operator. Empty: "
        "identifiers and hashes of everything.",
        "string",
        "",
        "/etc/airflow/mlops-chain-policy.toml",
    ),
    "default_conn_id": _option(
        "Connection of operators, sensors and triggers that name none.",
        "string",
        "mlops_chain_default",
        None,
    ),
    "ship_to": _option(
        "Where a task hands its spool over before its process stops, for workers whose disk does "
        "not last: a URI such as folder:/mnt/spools or s3://bucket/prefix. Empty: the spool "
        "stays in the home.",
        "string",
        "",
        "folder:/mnt/spools",
    ),
    "ship_timeout_s": _option(
        "Longest time in seconds for handing it over.",
        "float",
        "5.0",
        None,
    ),
}
