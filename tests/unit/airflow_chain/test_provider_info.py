"""The provider's metadata: valid by the schemas of Airflow's wheel, and true."""

from __future__ import annotations

import ast
import importlib.machinery
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from airflow_chain import config
from airflow_chain.form import FIELDS
from airflow_chain.get_provider_info import get_provider_info

ROOT = Path(__file__).parents[3]
LISTED = ("operators", "sensors", "hooks", "triggers")


def schema(name: str) -> dict[str, Any]:
    """A schema of Airflow's wheel; Airflow itself is not imported."""
    spec = importlib.machinery.PathFinder.find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    found: dict[str, Any] = json.loads(Path(spec.origin).with_name(name).read_text())
    return found


def modules(kind: str) -> Iterator[str]:
    """The modules that the provider says it has."""
    for item in get_provider_info()[kind]:
        yield from item["python-modules"]


def test_it_is_valid_by_the_schema_that_airflow_checks_it_with() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_its_parts_are_valid_by_the_schema_of_providers() -> None:
    whole = schema("provider.yaml.schema.json")
    info = get_provider_info()
    for part in ("connection-types", "config", *LISTED):
        part_schema = {**whole["properties"][part], "definitions": whole.get("definitions", {})}
        jsonschema.validate(info[part], part_schema)


def test_airflow_finds_it_by_its_entry_point() -> None:
    (found,) = entry_points(
        group="apache_airflow_provider", module="airflow_chain.get_provider_info"
    )
    assert found.load() is get_provider_info


@pytest.mark.parametrize("kind", LISTED)
def test_every_module_of_a_kind_is_listed_and_there(kind: str) -> None:
    folder = ROOT / "airflow_chain" / kind
    has_public_class = {
        f"airflow_chain.{kind}.{file.stem}"
        for file in folder.glob("*.py")
        if any(_is_of(node, kind) for node in ast.parse(file.read_text()).body)
    }
    assert set(modules(kind)) == has_public_class


def _is_of(node: ast.stmt, kind: str) -> bool:
    """Whether it is a class that users of Airflow know as one of that kind."""
    end = {"operators": "Operator", "sensors": "Sensor", "hooks": "Hook", "triggers": "Trigger"}
    return (
        isinstance(node, ast.ClassDef)
        and node.name.endswith(end[kind])
        and not node.name.startswith("_")
        and node.name != "ChainOperator"
    )


def test_every_key_of_the_configuration_has_a_function_and_a_description() -> None:
    options = get_provider_info()["config"]["mlops_chain"]["options"]
    assert all(callable(getattr(config, key)) for key in options)
    assert all(option["description"].strip() for option in options.values())
    assert options["name"]["default"] == config.DEFAULT_NAME
    assert options["default_conn_id"]["default"] == config.DEFAULT_CONN_ID
    assert float(options["ship_timeout_s"]["default"]) == config.DEFAULT_SHIP_TIMEOUT_S


def test_what_may_be_secret_is_hidden_in_the_form() -> None:
    (connection,) = get_provider_info()["connection-types"]
    hidden = {
        name
        for name, item in connection["conn-fields"].items()
        if item["schema"].get("format") == "password"
    }
    assert hidden == {name for name, item in FIELDS.items() if item.is_hidden}
    assert {"secret_ledger_url", "secret_ledger_headers", "secret_log_url"} == hidden


def test_reading_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, airflow_chain.get_provider_info as i; i.get_provider_info();"
        "print([n for n in ('airflow', 'mlflow', 'sqlalchemy', 'web3', 'eth', 'coincurve', 'rlp') "
        "if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
