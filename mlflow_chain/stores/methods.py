"""The one table of what is recorded: every write method of MLflow's stores, by name.

What passes through, and what is recorded by setting only, stands in `stores.passed`. A method in
no table passes through too, and a test fails until somebody has decided. One
that only calls other methods of its own store (`copy_model_version`, the prompt methods) is
passed on purpose: the calls it makes are recorded, so that each change has exactly one event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from mlflow_chain.mapping import models, tracking, workspaces
from mlflow_chain.mapping.values import Mapped
from mlflow_chain.stores import results, returned
from mlflow_chain.stores.passed import PASSED, READING_PREFIXES


class Recovery(StrEnum):
    """How to find out whether a call whose outcome is unknown was applied."""

    LOOK = "look"
    """The call only inserts into a set: what is there was inserted."""
    MARKER = "marker"
    """The call overwrites or mints: it commits a marker in its own transaction."""
    BOTH = "both"
    """A call of several commits, of which only those that overwrite need a marker."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """How one method is recorded.

    Args:
        type: the event's type.
        mapping: from the call's arguments to subject and payload.
        recovery: how it is resolved when in doubt.
        kind: subject kind, for a call whose arguments can't be mapped.
        captures: kinds of rows to read inside the transaction.
        result: from those rows to what the call minted.
        answer: the same over a server's API, from what the call returned.
        multi_commit: whether the call may fail after committing a part.
        is_extra: whether it is recorded by setting only, see `stores.extras`.
    """

    type: str
    mapping: Callable[..., Mapped]
    recovery: Recovery
    kind: str
    captures: frozenset[str] = frozenset()
    result: results.ResultMapping = results.nothing
    answer: returned.ReturnMapping = returned.nothing
    multi_commit: bool = False
    is_extra: bool = False

    @property
    def marks(self) -> bool:
        """Whether the call commits markers."""
        return self.recovery is not Recovery.LOOK


Table: TypeAlias = dict[str, Recorded]


def _look(type_: str, mapping: Callable[..., Mapped], *, multi_commit: bool = False) -> Recorded:
    kind = "logged_model" if type_.startswith("logged_model") else "run"
    return Recorded(type_, mapping, Recovery.LOOK, kind, multi_commit=multi_commit)


def _mark(
    type_: str,
    mapping: Callable[..., Mapped],
    result: results.ResultMapping = results.nothing,
    *captures: str,
    answer: returned.ReturnMapping = returned.nothing,
) -> Recorded:
    kind = type_.partition(".")[0]
    return Recorded(type_, mapping, Recovery.MARKER, kind, frozenset(captures), result, answer)


TRACKING: Table = {
    # experiments
    "create_experiment": _mark(
        "experiment.created",
        tracking.create_experiment,
        results.experiment,
        "experiment",
        answer=returned.experiment,
    ),
    "delete_experiment": _mark(
        "experiment.deleted", tracking.change_experiment, results.experiment_update, "experiment"
    ),
    "restore_experiment": _mark(
        "experiment.restored", tracking.change_experiment, results.experiment_update, "experiment"
    ),
    "rename_experiment": _mark(
        "experiment.renamed", tracking.rename_experiment, results.experiment_update, "experiment"
    ),
    "set_experiment_tag": _mark("experiment.tag_set", tracking.set_experiment_tag),
    "delete_experiment_tag": _mark("experiment.tag_deleted", tracking.delete_experiment_tag),
    "_hard_delete_experiment": _mark("experiment.removed", tracking.change_experiment),
    # runs
    "create_run": _mark(
        "run.created",
        tracking.create_run,
        results.run,
        "run",
        answer=returned.run,
    ),
    "update_run_info": _mark("run.updated", tracking.update_run_info),
    "delete_run": _mark("run.deleted", tracking.change_run),
    "restore_run": _mark("run.restored", tracking.change_run),
    "_hard_delete_run": _mark("run.removed", tracking.change_run),
    "log_metric": _look("run.metric_logged", tracking.log_metric),
    "log_param": _look("run.param_logged", tracking.log_param),
    "set_tag": _mark("run.tag_set", tracking.set_tag),
    "delete_tag": _mark("run.tag_deleted", tracking.delete_tag),
    "log_batch": Recorded(
        "run.batch_logged",
        tracking.log_batch,
        Recovery.BOTH,
        "run",
        frozenset({"tag"}),
        multi_commit=True,
    ),
    "log_inputs": _look("run.inputs_logged", tracking.log_inputs, multi_commit=True),
    "log_outputs": _look("run.outputs_logged", tracking.log_outputs),
    "record_logged_model": _mark(
        "run.model_noted", tracking.record_logged_model, results.run_tags, "tag"
    ),
    # logged models
    "create_logged_model": _mark(
        "logged_model.created",
        models.create_logged_model,
        results.logged_model,
        "logged_model",
        answer=returned.logged_model,
    ),
    "finalize_logged_model": _mark(
        "logged_model.finalized",
        models.finalize_logged_model,
        results.logged_model_update,
        "logged_model",
        answer=returned.logged_model_update,
    ),
    "delete_logged_model": _mark(
        "logged_model.deleted",
        models.change_logged_model,
        results.logged_model_update,
        "logged_model",
    ),
    "_hard_delete_logged_model": _mark("logged_model.removed", models.change_logged_model),
    "set_logged_model_tags": _mark("logged_model.tags_set", models.set_logged_model_tags),
    "delete_logged_model_tag": _mark("logged_model.tag_deleted", models.delete_logged_model_tag),
    "log_logged_model_params": _look("logged_model.params_logged", models.log_logged_model_params),
}
"""Methods of tracking stores."""

REGISTRY: Table = {
    "create_registered_model": _mark(
        "registered_model.created",
        models.create_registered_model,
        results.registered_model,
        "registered_model",
        answer=returned.registered_model,
    ),
    "update_registered_model": _mark(
        "registered_model.updated",
        models.update_registered_model,
        results.registered_model_update,
        "registered_model",
        answer=returned.registered_model_update,
    ),
    "rename_registered_model": _mark(
        "registered_model.renamed",
        models.rename_registered_model,
        results.registered_model_update,
        "registered_model",
        answer=returned.registered_model_update,
    ),
    "delete_registered_model": _mark("registered_model.deleted", models.delete_registered_model),
    "set_registered_model_tag": _mark("registered_model.tag_set", models.set_registered_model_tag),
    "delete_registered_model_tag": _mark(
        "registered_model.tag_deleted", models.delete_registered_model_tag
    ),
    "set_registered_model_alias": _mark(
        "registered_model.alias_set", models.set_registered_model_alias
    ),
    "delete_registered_model_alias": _mark(
        "registered_model.alias_deleted", models.delete_registered_model_alias
    ),
    "create_model_version": _mark(
        "model_version.created",
        models.create_model_version,
        results.model_version,
        "model_version",
        answer=returned.model_version,
    ),
    "update_model_version": _mark(
        "model_version.updated",
        models.update_model_version,
        results.model_version_updates,
        "model_version",
        answer=returned.model_version_update,
    ),
    "transition_model_version_stage": _mark(
        "model_version.stage_set",
        models.transition_model_version_stage,
        results.model_version_updates,
        "model_version",
        "registered_model",
        answer=returned.model_version_transition,
    ),
    "delete_model_version": _mark(
        "model_version.deleted",
        models.delete_model_version,
        results.model_version_deletion,
        "registered_model",
        "alias",
    ),
    "set_model_version_tag": _mark("model_version.tag_set", models.set_model_version_tag),
    "delete_model_version_tag": _mark("model_version.tag_deleted", models.delete_model_version_tag),
}
"""Methods of model registry stores."""

WORKSPACES: Table = {
    "create_workspace": _mark("workspace.created", workspaces.create_workspace),
    "update_workspace": _mark("workspace.updated", workspaces.create_workspace),
    "delete_workspace": _mark("workspace.deleted", workspaces.delete_workspace),
}
"""Methods of workspace stores."""

BY_TYPE: dict[str, Recorded] = {
    m.type: m for m in (*TRACKING.values(), *REGISTRY.values(), *WORKSPACES.values())
}
"""The same, by type of event."""


def is_classed(name: str) -> bool:
    """Whether somebody has decided about a public method of MLflow's stores."""
    return (
        name in TRACKING
        or name in REGISTRY
        or name in WORKSPACES
        or name.startswith(READING_PREFIXES)
        or any(name in names for names in PASSED.values())
    )
