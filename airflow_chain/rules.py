"""What of Airflow is recorded, by rules: which DAGs, tasks and operators, and how much. Pure.

A policy is a TOML file::

    [default]                  # what no rule says otherwise
    record = true
    conf = "hashes"            # conf of a DAG run: none, hashes or values
    rendered = "hashes"        # rendered template fields of a task
    error_text = "none"        # text of the error with which a task fails

    [[rule]]                   # the first rule that matches counts; what it leaves out, the default
    dag = "payroll_*"          # shell pattern, or a list of them
    record = false

    [[rule]]
    dag = "train_*"
    task = ["fit", "tune_*"]
    operator = "PythonOperator"   # name of the class, without its module
    rendered = "values"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from chain_client.errors import ConfigurationError


class Extent(StrEnum):
    """How much of a value is recorded."""

    NONE = "none"
    """Nothing."""
    HASHES = "hashes"
    """Its SHA-256."""
    VALUES = "values"
    """Itself, with Airflow's secrets masked."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is recorded of one thing.

    Args:
        record: whether anything is.
        conf: how much of a DAG run's conf.
        rendered: how much of a task's rendered template fields.
        error_text: how much of the text of a task's error; its class is always recorded.
    """

    record: bool = True
    conf: Extent = Extent.HASHES
    rendered: Extent = Extent.HASHES
    error_text: Extent = Extent.NONE


IDENTIFIERS_ONLY = Decision(conf=Extent.NONE, rendered=Extent.NONE)
"""What is recorded while the rules can't be read."""

_EXTENTS = ("conf", "rendered", "error_text")
_PATTERNS = ("dag", "task", "operator")


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said of some DAGs, tasks and operators.

    Args:
        said: what it says; names of `Decision`.
        dag: shell patterns of DAG ids; empty for every DAG.
        task: likewise, of task ids. A rule with it never speaks of a DAG run.
        operator: likewise, of class names, without their module: Airflow's scheduler knows no more.
    """

    said: Mapping[str, Any]
    dag: tuple[str, ...] = ()
    task: tuple[str, ...] = ()
    operator: tuple[str, ...] = ()

    def matches(self, dag_id: str, task_id: str | None, operator: str | None) -> bool:
        """Whether it speaks of this thing; a DAG run has no task and no operator."""
        return (
            _matches(self.dag, dag_id)
            and _matches(self.task, task_id)
            and _matches(self.operator, operator)
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules in their order.

    Args:
        rules: the first that matches counts.
        default: what no rule says otherwise.
    """

    rules: tuple[Rule, ...] = ()
    default: Decision = Decision()

    def decide(
        self, dag_id: str, task_id: str | None = None, operator: str | None = None
    ) -> Decision:
        """What is recorded of a DAG run, or of a task instance of it.

        Args:
            dag_id: of the DAG.
            task_id: None for the DAG run.
            operator: class name of the task's operator.
        """
        for rule in self.rules:
            if rule.matches(dag_id, task_id, operator):
                return replace(self.default, **rule.said)
        return self.default


def parse_policy(text: str) -> Policy:
    """A policy from the text of its file.

    Raises:
        ConfigurationError: it is no TOML, or says what is not understood; the text names the rule.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigurationError(f"the policy is not valid TOML: {exc}") from exc
    _check_keys(document, ("default", "rule"), "the policy")
    default = document.get("default", {})
    if not isinstance(default, dict):
        raise ConfigurationError("the policy: expected [default] to be a table")
    said = _read_said(default, (), "[default]")
    rules = document.get("rule", [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise ConfigurationError("the policy: expected each rule under its own [[rule]]")
    return Policy(
        tuple(_read_rule(rule, f"[[rule]] {place}") for place, rule in enumerate(rules, 1)),
        replace(Decision(), **said),
    )


def _read_rule(table: Mapping[str, Any], place: str) -> Rule:
    said = _read_said(table, _PATTERNS, place)
    if not said:
        raise ConfigurationError(f"{place}: says nothing; expected record, {', '.join(_EXTENTS)}")
    found = {name: _read_patterns(table[name], name, place) for name in _PATTERNS if name in table}
    if any("." in pattern for pattern in found.get("operator", ())):
        raise ConfigurationError(
            f"{place}: expected operator to be a class name without its module"
        )
    return Rule(said, **found)


def _read_said(table: Mapping[str, Any], more: tuple[str, ...], place: str) -> dict[str, Any]:
    _check_keys(table, ("record", *_EXTENTS, *more), place)
    said: dict[str, Any] = {}
    if "record" in table:
        if not isinstance(table["record"], bool):
            raise ConfigurationError(f"{place}: expected record to be true or false")
        said["record"] = table["record"]
    for name in _EXTENTS:
        if name in table:
            try:
                said[name] = Extent(table[name])
            except ValueError as exc:
                known = ", ".join(Extent)
                raise ConfigurationError(f"{place}: expected {name} to be one of {known}") from exc
    return said


def _read_patterns(found: Any, name: str, place: str) -> tuple[str, ...]:
    patterns = found if isinstance(found, list) else [found]
    if not patterns or not all(isinstance(one, str) and one for one in patterns):
        raise ConfigurationError(f"{place}: expected {name} to be a pattern or a list of them")
    return tuple(patterns)


def _check_keys(table: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    unknown = sorted(table.keys() - set(known))
    if unknown:
        raise ConfigurationError(
            f"{place}: unknown key {unknown[0]!r}; known are {', '.join(known)}"
        )


def _matches(patterns: tuple[str, ...], name: str | None) -> bool:
    return not patterns or (name is not None and any(fnmatchcase(name, one) for one in patterns))
