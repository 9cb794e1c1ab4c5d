"""How two values differ, as findings. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chain_client.events import Json
from chain_client.hosts import Finding, Unchecked
from mlflow_chain.verifying.order import ABSENT, UNKNOWN, Register


def to_json(value: object) -> Json:
    """A value as it may stand in a finding."""
    if value is ABSENT or value is UNKNOWN:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str | dict):
        return value
    return str(value)


def compare_fields(
    kind: str, subject: str, expected: Mapping[str, Register], actual: Mapping[str, Any]
) -> Iterator[Finding]:
    """Fields that every entity of a kind has, such as a run's status."""
    for name, register in expected.items():
        if name not in actual or register.allows(actual[name]):
            continue
        yield _finding(f"{kind}_field_changed", f"{subject}/{name}", register, actual[name], name)


def compare_keys(
    kind: str, subject: str, expected: Mapping[str, Register], actual: Mapping[str, Any]
) -> Iterator[Finding]:
    """Tags, params or aliases: keys that may be missing, changed, or too many.

    Args:
        kind: such as ``tag``; the findings are ``tag_missing``, ``tag_changed`` and so on.
        subject: the entity that has them.
        expected: what may stand at each key.
        actual: what is there.
    """
    for key, register in expected.items():
        if register.allows(actual.get(key, ABSENT)):
            continue
        found = actual.get(key, ABSENT)
        if found is ABSENT:
            ending = "missing"
        elif register.expected() is ABSENT:
            ending = "unexpected"
        else:
            ending = "changed"
        yield _finding(f"{kind}_{ending}", f"{subject}/{kind} {key}", register, found, kind)
    for key in actual.keys() - expected.keys():
        yield Finding(
            f"{kind}_unexpected",
            f"{subject}/{kind} {key}",
            None,
            to_json(actual[key]),
            f"no event recorded this {kind}",
        )


def _finding(kind: str, subject: str, register: Register, actual: object, what: str) -> Finding:
    values = register.values()
    if actual is ABSENT:
        detail = f"the {what} was recorded and is not there"
    elif register.expected() is ABSENT:
        detail = f"the {what} was deleted, or never written, and is there"
    else:
        detail = f"the {what} is not the one that was recorded"
    if len(values) > 1:
        shown = ", ".join(str(to_json(value)) for value in values)
        detail += f"; concurrent writes allow any of: {shown}"
    expected = to_json(register.expected())
    return Finding(kind, subject, expected, to_json(actual), detail, register.latest_us())


def missing(
    kind: str, subject: str, expected: object, detail: str, exists: Register | None = None
) -> Finding:
    """An entity that was recorded and is not there.

    Args:
        kind: of entity.
        subject: which.
        expected: what was recorded of it.
        detail: one sentence.
        exists: says when it was last recorded, for what may be made again under its name.
    """
    recorded_us = None if exists is None else exists.latest_us()
    return Finding(f"{kind}_missing", subject, to_json(expected), None, detail, recorded_us)


def unexpected(kind: str, subject: str, actual: object) -> Finding:
    """An entity that is there and was never recorded."""
    detail = f"no event recorded this {kind.replace('_', ' ')}"
    return Finding(f"{kind}_unexpected", subject, None, to_json(actual), detail)


def of_what_is_recorded(
    findings: Iterator[Finding | Unchecked],
) -> Iterator[Finding | Unchecked]:
    """Of an entity that nobody recorded, what differs from what was recorded of it later.

    Whatever else it holds goes with its own finding.
    """
    for found in findings:
        if isinstance(found, Unchecked) or found.expected is not None:
            yield found


def unreadable(kind: str, subject: str) -> Finding:
    """An entity that MLflow's API refuses to show."""
    detail = "its rows were changed so that MLflow can't show it"
    return Finding(f"{kind}_unreadable", subject, None, None, detail)


def untold(subject: str) -> Unchecked:
    """An entity of which the events don't tell what it must look like."""
    reason = (
        "an event about it could not be read when it was recorded, or calls that ran at once gave "
        "its name to several; nobody can tell from the events what it must look like"
    )
    return Unchecked(subject, reason)


Pair = tuple[Any, Any]


def pair_up(gone: Iterable[Any], new: Iterable[Any]) -> tuple[list[Pair], list[Any], list[Any]]:
    """Match points that vanished with points that appeared: such a pair was changed.

    Two points match that differ in one of value, timestamp and step only.

    Returns:
        the pairs, the points that are only gone, and those that are only new.
    """
    left, right, pairs = list(gone), list(new), []
    for same in ((1, 2), (0, 2), (0, 1)):
        waiting: dict[Any, list[Any]] = {}
        for point in right:
            waiting.setdefault(_key(point, same), []).append(point)
        rest = []
        for point in left:
            matches = waiting.get(_key(point, same))
            if matches:
                pairs.append((point, matches.pop(0)))
            else:
                rest.append(point)
        left = rest
        right = [point for points in waiting.values() for point in points]
    return pairs, left, right


def _key(point: Any, same: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple("nan" if point[i] != point[i] else point[i] for i in same)
