"""The one table of what is recorded: every write method of MLflow's stores, by name.

A method in no table here passes through too, and a test fails until somebody has decided. One
that only calls other methods of its own store (`copy_model_version`, the prompt methods) is
passed on purpose: the calls it makes are recorded, so that each change has exactly one event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from mlflow_chain.mapping import models, tracking
from mlflow_chain.mapping.values import Mapped
from mlflow_chain.stores import results, returned


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
    """

    type: str
    mapping: Callable[..., Mapped]
    recovery: Recovery
    kind: str
    captures: frozenset[str] = frozenset()
    result: results.ResultMapping = results.nothing
    answer: returned.ReturnMapping = returned.nothing
    multi_commit: bool = False

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

BY_TYPE: dict[str, Recorded] = {m.type: m for m in (*TRACKING.values(), *REGISTRY.values())}
"""The same, by type of event."""

READING_PREFIXES = ("get_", "search_", "list_", "batch_get_", "calculate_", "find_", "query_")
"""Methods whose names start so read only."""

PASSED: dict[str, frozenset[str]] = {
    "reads only": frozenset(
        {
            "filter_active_experiment_ids",
            "resolve_endpoint_in_scorer",
            "resolve_trace_archival_config",
            "sanitize_metric_value",
            "sum_gateway_trace_cost",
            "test_webhook",
        }
    ),
    "recorded by the calls it makes": frozenset(
        {
            "copy_model_version",
            "create_prompt",
            "create_prompt_version",
            "delete_prompt",
            "delete_prompt_alias",
            "delete_prompt_tag",
            "delete_prompt_version",
            "delete_prompt_version_tag",
            "link_prompt_version_to_model",
            "link_prompt_version_to_run",
            "set_model_versions_tags",
            "set_prompt_alias",
            "set_prompt_tag",
            "set_prompt_version_tag",
        }
    ),
    "reaches log_batch through the queue": frozenset(
        {
            "end_async_logging",
            "flush_async_logging",
            "log_batch_async",
            "log_metric_async",
            "log_param_async",
            "set_tag_async",
            "shut_down_async_logging",
        }
    ),
    "traces and assessments": frozenset(
        {
            "archive_traces",
            "create_assessment",
            "delete_assessment",
            "delete_trace_tag",
            "delete_traces",
            "deprecated_end_trace_v2",
            "deprecated_start_trace_v2",
            "link_mcp_server_versions_to_trace",
            "link_prompts_to_trace",
            "link_traces_to_run",
            "log_spans",
            "log_spans_async",
            "set_trace_tag",
            "start_trace",
            "unlink_traces_from_run",
            "update_assessment",
        }
    ),
    "evaluation data, scorers, issues and reviews": frozenset(
        {
            "add_dataset_to_experiments",
            "add_items_to_review_queue",
            "create_dataset",
            "create_issue",
            "create_label_schema",
            "create_review_queue",
            "delete_dataset",
            "delete_dataset_records",
            "delete_dataset_tag",
            "delete_label_schema",
            "delete_review_queue",
            "delete_scorer",
            "get_or_create_user_queue",
            "register_scorer",
            "remove_dataset_from_experiments",
            "remove_items_from_review_queue",
            "set_dataset_tags",
            "set_review_queue_item_status",
            "update_issue",
            "update_label_schema",
            "update_review_queue",
            "upsert_dataset_records",
            "upsert_online_scoring_config",
        }
    ),
    "gateway, tool servers and webhooks": frozenset(
        {
            "add_guardrail_to_endpoint",
            "attach_model_to_endpoint",
            "create_budget_policy",
            "create_endpoint_binding",
            "create_gateway_endpoint",
            "create_gateway_guardrail",
            "create_gateway_model_definition",
            "create_gateway_secret",
            "create_mcp_access_endpoint",
            "create_mcp_server",
            "create_mcp_server_version",
            "create_webhook",
            "delete_budget_policy",
            "delete_endpoint_binding",
            "delete_gateway_endpoint",
            "delete_gateway_endpoint_tag",
            "delete_gateway_guardrail",
            "delete_gateway_model_definition",
            "delete_gateway_secret",
            "delete_mcp_access_endpoint",
            "delete_mcp_server",
            "delete_mcp_server_alias",
            "delete_mcp_server_tag",
            "delete_mcp_server_version",
            "delete_mcp_server_version_tag",
            "delete_webhook",
            "detach_model_from_endpoint",
            "remove_guardrail_from_endpoint",
            "set_gateway_endpoint_tag",
            "set_mcp_server_alias",
            "set_mcp_server_tag",
            "set_mcp_server_version_tag",
            "update_budget_policy",
            "update_endpoint_guardrail_config",
            "update_gateway_endpoint",
            "update_gateway_model_definition",
            "update_gateway_secret",
            "update_mcp_access_endpoint",
            "update_mcp_server",
            "update_mcp_server_version",
            "update_webhook",
        }
    ),
}
"""Methods that pass through unrecorded, by reason."""


def is_classed(name: str) -> bool:
    """Whether somebody has decided about a public method of MLflow's stores."""
    return (
        name in TRACKING
        or name in REGISTRY
        or name.startswith(READING_PREFIXES)
        or any(name in names for names in PASSED.values())
    )
