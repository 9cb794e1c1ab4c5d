"""Every route of an MLflow server that is no GET, and why it does not get round the gate.

Without `/api/2.0` and its like; what is a variable in a path is `<>`.
"""

from __future__ import annotations

from typing import Final

ROUTES: Final[dict[str, str]] = {
    "asks the gate: `test_registry_doors`, and `test_file_doors` for logged models": """
        DELETE /mlflow/logged-models/<>
        POST /mlflow/model-versions/create
        DELETE /mlflow/model-versions/delete
        DELETE /mlflow/model-versions/delete-tag
        POST /mlflow/model-versions/set-tag
        POST /mlflow/model-versions/transition-stage
        DELETE /mlflow/registered-models/alias
        POST /mlflow/registered-models/alias
        POST /mlflow/registered-models/create
        DELETE /mlflow/registered-models/delete
        DELETE /mlflow/registered-models/delete-tag
        POST /mlflow/registered-models/rename
        POST /mlflow/registered-models/set-tag
        DELETE /mlflow/workspaces/<>
    """,
    "writes or removes files, and asks whether they are attested: `test_file_doors`": """
        DELETE /mlflow-artifacts/artifacts/<>
        PUT /mlflow-artifacts/artifacts/<>
        POST /mlflow-artifacts/mpu/abort/<>
        POST /mlflow-artifacts/mpu/complete/<>
        POST /mlflow-artifacts/mpu/create/<>
        POST /mlflow/artifacts/presigned-upload-url
        POST /mlflow/assistant/skills/install
        POST /mlflow/runs/create-promptlab-run
        POST /mlflow/traces/delete-traces
        POST /mlflow/upload-artifact
    """,
    "says where files will lie; who writes there is asked then: `test_file_doors`": """
        POST /mlflow/experiments/create
        POST /mlflow/logged-models
        POST /mlflow/runs/create
        POST /mlflow/traces
        POST /mlflow/workspaces
        PATCH /mlflow/workspaces/<>
        POST /v1/traces
    """,
    "changes descriptions of models and versions, and nothing that is loaded": """
        PATCH /mlflow/model-versions/update
        PATCH /mlflow/registered-models/update
    """,
    "rows of experiments, runs, logged models and traces, not where their files lie": """
        POST /mlflow/experiments/delete
        POST /mlflow/experiments/delete-experiment-tag
        POST /mlflow/experiments/restore
        POST /mlflow/experiments/set-experiment-tag
        POST /mlflow/experiments/update
        PATCH /mlflow/logged-models/<>
        POST /mlflow/logged-models/<>/params
        PATCH /mlflow/logged-models/<>/tags
        DELETE /mlflow/logged-models/<>/tags/<>
        POST /mlflow/runs/delete
        POST /mlflow/runs/delete-tag
        POST /mlflow/runs/log-batch
        POST /mlflow/runs/log-inputs
        POST /mlflow/runs/log-metric
        POST /mlflow/runs/log-model
        POST /mlflow/runs/log-parameter
        POST /mlflow/runs/outputs
        POST /mlflow/runs/restore
        POST /mlflow/runs/set-tag
        POST /mlflow/runs/update
        PATCH /mlflow/traces/<>
        POST /mlflow/traces/<>/assessments
        DELETE /mlflow/traces/<>/assessments/<>
        PATCH /mlflow/traces/<>/assessments/<>
        DELETE /mlflow/traces/<>/tags
        PATCH /mlflow/traces/<>/tags
        POST /mlflow/traces/link-prompts
        POST /mlflow/traces/link-to-run
    """,
    "reads, or sends what was read": """
        POST /graphql
        POST /jobs/search
        POST /mlflow/artifacts/presigned-download-url
        POST /mlflow/datasets/search
        POST /mlflow/experiments/search
        POST /mlflow/experiments/search-datasets
        POST /mlflow/issues/search
        POST /mlflow/logged-models/search
        POST /mlflow/prompt-optimization/jobs/search
        POST /mlflow/registered-models/get-latest-versions
        POST /mlflow/runs/search
        POST /mlflow/traces/batchGetInfos
        POST /mlflow/traces/calculate-filter-correlation
        POST /mlflow/traces/metrics
        POST /mlflow/traces/search
        POST /mlflow/webhooks/<>/test
    """,
    "works in processes of the server, whose stores and files ask like its own": """
        POST /jobs/
        PATCH /jobs/cancel/<>
        POST /mlflow/demo/delete
        POST /mlflow/demo/generate
        POST /mlflow/genai/evaluate/invoke
        POST /mlflow/issues/invoke
        PATCH /mlflow/jobs/cancel/<>
        POST /mlflow/prompt-optimization/jobs
        DELETE /mlflow/prompt-optimization/jobs/<>
        POST /mlflow/prompt-optimization/jobs/<>/cancel
        POST /mlflow/scorer/invoke
    """,
    "a shell on the server's machine for callers on it: outside, says `the-gate.md`": """
        PUT /mlflow/assistant/config
        POST /mlflow/assistant/message
        PATCH /mlflow/assistant/sessions/<>
        POST /mlflow/assistant/sessions/<>/permission
        POST /mlflow/assistant/sessions/<>/tool-result
    """,
    "who may log in to MLflow: the attacker may do everything anyway": """
        POST /mlflow/roles/assign
        POST /mlflow/roles/create
        DELETE /mlflow/roles/delete
        POST /mlflow/roles/permissions/add
        DELETE /mlflow/roles/permissions/remove
        PATCH /mlflow/roles/permissions/update
        DELETE /mlflow/roles/unassign
        PATCH /mlflow/roles/update
        POST /mlflow/users/create
        POST /mlflow/users/create-ui
        DELETE /mlflow/users/delete
        POST /mlflow/users/permissions/grant
        POST /mlflow/users/permissions/revoke
        PATCH /mlflow/users/update-admin
        PATCH /mlflow/users/update-password
    """,
    "rows of other tables, or calls to other services; no file, no registered model": """
        POST /gateway/<>/mlflow/invocations
        POST /gateway/anthropic/v1/messages
        POST /gateway/gemini/v1beta/models/<>:generateContent
        POST /gateway/gemini/v1beta/models/<>:streamGenerateContent
        POST /gateway/mlflow/v1/chat/completions
        POST /gateway/openai/v1/chat/completions
        POST /gateway/openai/v1/embeddings
        POST /gateway/openai/v1/responses
        POST /gateway/openai/v1/responses/compact
        POST /gateway/proxy/<>/<>
        POST /gateway/typesafe/v1/systemone
        DELETE /mlflow/datasets/<>
        POST /mlflow/datasets/<>/add-experiments
        DELETE /mlflow/datasets/<>/records
        POST /mlflow/datasets/<>/records
        POST /mlflow/datasets/<>/remove-experiments
        PATCH /mlflow/datasets/<>/tags
        DELETE /mlflow/datasets/<>/tags/<>
        POST /mlflow/datasets/create
        POST /mlflow/gateway-proxy
        POST /mlflow/gateway/budgets/create
        DELETE /mlflow/gateway/budgets/delete
        POST /mlflow/gateway/budgets/update
        POST /mlflow/gateway/endpoints/bindings/create
        DELETE /mlflow/gateway/endpoints/bindings/delete
        POST /mlflow/gateway/endpoints/create
        DELETE /mlflow/gateway/endpoints/delete
        DELETE /mlflow/gateway/endpoints/delete-tag
        POST /mlflow/gateway/endpoints/models/attach
        POST /mlflow/gateway/endpoints/models/detach
        POST /mlflow/gateway/endpoints/set-tag
        POST /mlflow/gateway/endpoints/update
        POST /mlflow/gateway/guardrails/add-to-endpoint
        POST /mlflow/gateway/guardrails/create
        DELETE /mlflow/gateway/guardrails/delete
        DELETE /mlflow/gateway/guardrails/remove-from-endpoint
        PATCH /mlflow/gateway/guardrails/update-config
        POST /mlflow/gateway/model-definitions/create
        DELETE /mlflow/gateway/model-definitions/delete
        POST /mlflow/gateway/model-definitions/update
        POST /mlflow/gateway/secrets/create
        DELETE /mlflow/gateway/secrets/delete
        POST /mlflow/gateway/secrets/update
        POST /mlflow/issues
        PATCH /mlflow/issues/<>
        POST /mlflow/label-schemas/create
        DELETE /mlflow/label-schemas/delete
        PATCH /mlflow/label-schemas/update
        POST /mlflow/mcp-servers
        DELETE /mlflow/mcp-servers/<>
        PATCH /mlflow/mcp-servers/<>
        POST /mlflow/mcp-servers/<>/aliases
        DELETE /mlflow/mcp-servers/<>/aliases/<>
        POST /mlflow/mcp-servers/<>/endpoints
        DELETE /mlflow/mcp-servers/<>/endpoints/<>
        PATCH /mlflow/mcp-servers/<>/endpoints/<>
        POST /mlflow/mcp-servers/<>/tags
        DELETE /mlflow/mcp-servers/<>/tags/<>
        POST /mlflow/mcp-servers/<>/versions
        DELETE /mlflow/mcp-servers/<>/versions/<>
        PATCH /mlflow/mcp-servers/<>/versions/<>
        POST /mlflow/mcp-servers/<>/versions/<>/tags
        DELETE /mlflow/mcp-servers/<>/versions/<>/tags/<>
        POST /mlflow/review-queues/create
        POST /mlflow/review-queues/delete
        POST /mlflow/review-queues/get-or-create-user
        POST /mlflow/review-queues/items/add
        POST /mlflow/review-queues/items/remove
        POST /mlflow/review-queues/items/set-status
        POST /mlflow/review-queues/update
        DELETE /mlflow/scorers/delete
        PUT /mlflow/scorers/online-config
        POST /mlflow/scorers/register
        POST /mlflow/ui-telemetry
        POST /mlflow/webhooks
        DELETE /mlflow/webhooks/<>
        PATCH /mlflow/webhooks/<>
    """,
}
"""Routes by the reason why they may be there: a method and a path on each line."""
