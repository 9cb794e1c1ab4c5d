"""What a person asks for, as the kind of a thing and what it is called. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from chain_client.errors import InvalidInput
from chain_client.registry.targets import STAGES, Target
from chain_client.running_in import split_dag_run_id
from chain_client.traces import (
    DAG_RUN,
    DAG_VERSION,
    DATASET,
    LOGGED_MODEL,
    MODEL_VERSION,
    RUN,
    TARGET,
)

_SCHEMES: Final = ("chain+models:/", "models:/")
_LOGGED_MODEL: Final = re.compile("m-[0-9a-f]{32}")
_STAGE_NAMES: Final = frozenset(stage.lower() for stage in STAGES)


@dataclass(frozen=True, slots=True)
class Asked:
    """A thing that is asked for.

    Args:
        kind: of `chain_client.traces`.
        text: what it is called.
    """

    kind: str
    text: str


def to_asked_model(text: str) -> Asked:
    """A target, a version or a logged model, in any spelling.

    Raises:
        InvalidInput: it names none of them.

    >>> to_asked_model("models:/fraud@champion")
    Asked(kind='target', text='fraud/alias:champion')
    """
    scheme = next((scheme for scheme in _SCHEMES if text.startswith(scheme)), "")
    name = text.removeprefix(scheme).strip("/")
    if text.startswith("runs:/"):
        return Asked(RUN, text.removeprefix("runs:/").strip("/").partition("/")[0])
    if _LOGGED_MODEL.fullmatch(name):
        return Asked(LOGGED_MODEL, name)
    model, at, alias = name.rpartition("@")
    if at and model:
        return Asked(TARGET, f"{model}/{Target.alias(alias)}")
    model, slash, rest = name.rpartition("/")
    if slash and model:
        if rest.isascii() and rest.isdecimal():
            return Asked(MODEL_VERSION, f"{model}/{int(rest)}")
        if rest.lower() in _STAGE_NAMES:
            return Asked(TARGET, f"{model}/{Target.stage(rest)}")
        if ":" in rest:
            return Asked(TARGET, f"{model}/{Target.parse(rest)}")
    raise InvalidInput(
        f"{text[:80]!r} names no version of a model; expected NAME@ALIAS, NAME/VERSION, NAME/STAGE "
        "or a models:/ URI, in a workspace with WORKSPACE/ before the name"
    )


def to_asked_dag_run(text: str) -> Asked:
    """A DAG run, by DAG id and run id.

    Raises:
        InvalidInput: it names none.
    """
    try:
        split_dag_run_id(text)
    except ValueError as exc:
        raise InvalidInput(f"{text[:80]!r} is no DAG run; expected DAG_ID/RUN_ID") from exc
    return Asked(DAG_RUN, text)


def to_asked_graph(text: str) -> Asked:
    """A graph of a DAG, by DAG id and the beginning of its hash, or all of a DAG.

    Raises:
        InvalidInput: it names none.
    """
    dag_id, _, sha256 = text.partition("/")
    if not dag_id or not re.fullmatch("[0-9a-f]{0,64}", sha256):
        raise InvalidInput(f"{text[:80]!r} is no graph; expected DAG_ID, or DAG_ID/SHA256")
    return Asked(DAG_VERSION, f"{dag_id}/{sha256}")


def to_asked_run(text: str) -> Asked:
    """A run, by its id or the beginning of it."""
    return Asked(RUN, text)


def to_asked_dataset(text: str) -> Asked:
    """Datasets, by digest or name."""
    return Asked(DATASET, text)
