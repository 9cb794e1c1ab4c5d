"""What the documents say of Airflow's operators, configuration and connection is what there is.

The operators' source is read and not imported: importing it would import Airflow.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from airflow_chain import keys
from airflow_chain.form import FIELDS
from airflow_chain.get_provider_info import get_provider_info
from tests.unit.repository.checkout import ROOT

OPERATORS = ROOT / "docs/reference/airflow-operators.md"
LISTENER = ROOT / "docs/reference/airflow-listener.md"
HOW_TO = ROOT / "docs/how-to/airflow.md"
NOT_FOR_DAGS = {"ChainOperator", "AnchorTrigger", "PromotionApprovalTrigger"}
"""What the others are made of, or start by themselves."""


def _classes() -> dict[str, tuple[str, ast.ClassDef]]:
    """Operators, sensors and triggers by name, with their modules."""
    found = {}
    for room in ("operators", "sensors", "triggers"):
        for file in sorted((ROOT / "airflow_chain" / room).glob("*.py")):
            for node in ast.parse(file.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef) and re.search(
                    "(Operator|Sensor|Trigger)$", node.name
                ):
                    found[node.name] = (f"airflow_chain.{room}.{file.stem}", node)
    return found


CLASSES = _classes()
SHOWN = sorted(set(CLASSES) - NOT_FOR_DAGS)


def _bases(name: str) -> Iterator[ast.ClassDef]:
    """A class and those of ours that it is made of."""
    _, node = CLASSES[name]
    yield node
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id in CLASSES:
            yield from _bases(base.id)


def _parameters(name: str) -> set[str]:
    return {
        argument.arg
        for node in _bases(name)
        for function in node.body
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
        for argument in function.args.kwonlyargs
    }


def _templated(name: str) -> set[str]:
    for node in _bases(name):
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == (
                "template_fields"
            ):
                assert isinstance(statement.value, ast.Tuple)
                found: set[str] = set()
                for element in statement.value.elts:
                    if isinstance(element, ast.Starred):
                        found |= _templated(ast.unparse(element.value).split(".")[0])
                    else:
                        found.add(ast.literal_eval(element))
                return found
    return set()


def _section(name: str) -> str:
    parts = re.split(r"^## (.+)$", OPERATORS.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))[name]


def _rows(text: str) -> dict[str, list[str]]:
    """Cells of the rows of a table, by the first one."""
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", text, flags=re.MULTILINE)
    return {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}


def test_every_operator_sensor_and_trigger_is_described_and_no_other() -> None:
    assert len(SHOWN) >= 9
    headings = re.findall(r"^## (.+)$", OPERATORS.read_text("utf-8"), flags=re.MULTILINE)
    assert sorted(headings) == SHOWN


@pytest.mark.parametrize("name", SHOWN)
def test_its_parameters_are_those_of_the_code(name: str) -> None:
    section = _section(name)
    assert f"`from {CLASSES[name][0]} import {name}`" in section
    assert set(_rows(section)) == _parameters(name)


@pytest.mark.parametrize("name", [name for name in SHOWN if not name.endswith("Trigger")])
def test_what_is_templated_is_said(name: str) -> None:
    said = {parameter for parameter, cells in _rows(_section(name)).items() if cells[1] == "yes"}
    assert said == _templated(name)


def test_every_key_of_the_section_is_described_with_its_default() -> None:
    options = get_provider_info()["config"]["mlops_chain"]["options"]
    parts = re.split(r"^### (.+)$", LISTENER.read_text("utf-8"), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2]))
    assert [name for name in sections if name in options] == list(options)
    for name, option in options.items():
        assert f"`AIRFLOW__MLOPS_CHAIN__{name.upper()}`" in sections[name], name
        assert f"default `{option['default']}`" in sections[name], name


def test_every_field_of_the_connection_is_described_and_no_other() -> None:
    text = HOW_TO.read_text("utf-8").partition("## The connection")[2].partition("\n## ")[0]
    assert list(_rows(text)) == [*FIELDS, "password"]
    hidden = [name for name, cells in _rows(text).items() if cells[-1] == "yes"]
    assert hidden == [*(name for name, item in FIELDS.items() if item.is_hidden), "password"]


def test_every_type_of_event_is_described_and_no_other() -> None:
    kinds = ("task_instance", "dag_run", "dag_version")
    types = {
        value
        for value in vars(keys).values()
        if isinstance(value, str) and value.partition(".")[0] in kinds and "." in value
    }
    text = LISTENER.read_text("utf-8")
    assert types == set(re.findall(rf"`((?:{'|'.join(kinds)})\.[a-z_]+)`", text))
