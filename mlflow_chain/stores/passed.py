"""Methods of MLflow's stores that pass through, by reason; some of them are recorded by setting."""

from __future__ import annotations

READING_PREFIXES = ("get_", "search_", "list_", "batch_get_", "calculate_", "find_", "query_")
"""Methods whose names start so read only."""

GROUPS: dict[str, frozenset[str]] = {
    "traces": frozenset(
        {
            "archive_traces",
            "delete_trace_tag",
            "delete_traces",
            "deprecated_end_trace_v2",
            "deprecated_start_trace_v2",
            "link_mcp_server_versions_to_trace",
            "link_prompts_to_trace",
            "link_traces_to_run",
            "log_spans",
            "set_trace_tag",
            "start_trace",
            "unlink_traces_from_run",
        }
    ),
    "assessments": frozenset(
        {
            "create_assessment",
            "delete_assessment",
            "update_assessment",
        }
    ),
    "evaluation": frozenset(
        {
            "add_dataset_to_experiments",
            "create_dataset",
            "delete_dataset",
            "delete_dataset_records",
            "delete_dataset_tag",
            "remove_dataset_from_experiments",
            "set_dataset_tags",
            "upsert_dataset_records",
        }
    ),
    "scorers": frozenset(
        {
            "delete_scorer",
            "register_scorer",
            "upsert_online_scoring_config",
        }
    ),
    "issues": frozenset(
        {
            "create_issue",
            "update_issue",
        }
    ),
    "reviews": frozenset(
        {
            "add_items_to_review_queue",
            "create_label_schema",
            "create_review_queue",
            "delete_label_schema",
            "delete_review_queue",
            "get_or_create_user_queue",
            "remove_items_from_review_queue",
            "set_review_queue_item_status",
            "update_label_schema",
            "update_review_queue",
        }
    ),
    "gateway": frozenset(
        {
            "add_guardrail_to_endpoint",
            "attach_model_to_endpoint",
            "create_budget_policy",
            "create_endpoint_binding",
            "create_gateway_endpoint",
            "create_gateway_guardrail",
            "create_gateway_model_definition",
            "create_gateway_secret",
            "delete_budget_policy",
            "delete_endpoint_binding",
            "delete_gateway_endpoint",
            "delete_gateway_endpoint_tag",
            "delete_gateway_guardrail",
            "delete_gateway_model_definition",
            "delete_gateway_secret",
            "detach_model_from_endpoint",
            "remove_guardrail_from_endpoint",
            "set_gateway_endpoint_tag",
            "update_budget_policy",
            "update_endpoint_guardrail_config",
            "update_gateway_endpoint",
            "update_gateway_model_definition",
            "update_gateway_secret",
        }
    ),
    "mcp": frozenset(
        {
            "create_mcp_access_endpoint",
            "create_mcp_server",
            "create_mcp_server_version",
            "delete_mcp_access_endpoint",
            "delete_mcp_server",
            "delete_mcp_server_alias",
            "delete_mcp_server_tag",
            "delete_mcp_server_version",
            "delete_mcp_server_version_tag",
            "set_mcp_server_alias",
            "set_mcp_server_tag",
            "set_mcp_server_version_tag",
            "update_mcp_access_endpoint",
            "update_mcp_server",
            "update_mcp_server_version",
        }
    ),
    "webhooks": frozenset(
        {
            "create_webhook",
            "delete_webhook",
            "update_webhook",
        }
    ),
}
"""Methods that the words of `mlflow.record` stand for, see `stores.extras`."""

SEVERAL_COMMITS = frozenset(
    {
        "archive_traces",
        "create_gateway_endpoint",
        "delete_scorer",
        "delete_traces",
        "deprecated_start_trace_v2",
        "get_or_create_user_queue",
        "log_spans",
        "register_scorer",
        "start_trace",
        "update_gateway_endpoint",
        "upsert_online_scoring_config",
    }
)
"""Methods of `GROUPS` that may commit a part of their work and die before the rest."""

PASSED: dict[str, frozenset[str]] = {
    "reads only": frozenset(
        {
            "filter_active_experiment_ids",
            "resolve_artifact_root",
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
    "reaches log_spans": frozenset({"log_spans_async"}),
    **GROUPS,
}
"""Methods that pass through, by reason; those of `GROUPS` are recorded if a setting says so."""
