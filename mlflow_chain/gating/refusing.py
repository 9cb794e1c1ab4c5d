"""Refusing: what the caller gets, and what is kept of the attempt so that it can be proposed."""

from __future__ import annotations

import hashlib
import logging

from chain_client.canonical import encode
from chain_client.errors import ChainError
from chain_client.events import Actor, Json, Subject
from chain_client.gate.question import Action, Code, Mode, Refused
from chain_client.recorder import Recorder
from chain_client.registry.drafts import PROMOTION_REFUSED
from mlflow_chain.gating.demands import Demand, Forbidden

_logger = logging.getLogger(__name__)

FORBIDDEN = "forbidden"
"""In the place of a `Code`, where the chain was not asked."""


def draft_id(store_id: str, actor: Actor, demand: Demand) -> str:
    """Id of the draft of an attempt: the same user who tries the same again makes no second one."""
    model, change = demand.model, demand.change
    parts: list[Json] = [
        "draft",
        store_id,
        actor.authenticated or "",
        actor.claimed or "",
        [model.workspace, model.name, model.creation_ms],
        change.action.value,
        change.version,
        change.target,
    ]
    return hashlib.sha256(encode(parts)).hexdigest()[:16]


def note_refused(
    recorder: Recorder, store_id: str, actor: Actor, demand: Demand, refused: Refused, mode: Mode
) -> str:
    """Record an attempt that is refused, or would be.

    Guarantee: never raises; what can't be recorded is refused all the same.

    Returns:
        id of the draft; empty if to propose it would not help: only what becomes current for a
        target is proposed, and not what was approved already.
    """
    model, change = demand.model, demand.change
    id_ = draft_id(store_id, actor, demand)
    payload: dict[str, Json] = {
        "workspace": model.workspace,
        "model": model.name,
        "version": change.version if change.action is Action.SET else None,
        "target": change.target,
        "reason": refused.reason,
        "mode": mode.value,
        "code": refused.code.value,
        "action": change.action.value,
        "would_have_blocked": mode is Mode.WARN,
    }
    _note(recorder, Subject(store_id, "draft", id_), payload, actor)
    is_proposed = change.action is Action.SET and refused.code is not Code.ARCHIVE_NEEDED
    return id_ if is_proposed else ""


def note_forbidden(
    recorder: Recorder, store_id: str, actor: Actor, model: str, reason: str, mode: Mode
) -> None:
    """Record an attempt at something that nobody may do; no draft comes of it."""
    payload: dict[str, Json] = {
        "model": model,
        "reason": reason,
        "mode": mode.value,
        "code": FORBIDDEN,
        "would_have_blocked": mode is Mode.WARN,
    }
    _note(recorder, Subject(store_id, "draft", ""), payload, actor)


def _note(recorder: Recorder, subject: Subject, payload: dict[str, Json], actor: Actor) -> None:
    try:
        recorder.note(PROMOTION_REFUSED, subject, payload, actor=actor, required=True)
    except ChainError as exc:
        _logger.error("a refused attempt could not be recorded: %s", exc)  # noqa: TRY400


def refusal(refused: Refused, draft: str) -> Exception:
    """What MLflow's caller gets; never of a status that MLflow's clients retry."""
    helps = refused.help
    if refused.code is Code.NOT_APPROVED:
        helps = f"Run: mlops-chain draft propose {draft}"
    text = f"{refused.reason} {helps}"
    if draft and draft not in text:
        text = f"{text} (draft {draft})"
    return to_exception(text, refused.status)


def forbidden(found: Forbidden) -> Exception:
    """As `refusal`, for what nobody may do."""
    return to_exception(f"{found}.", 403)


def to_exception(text: str, status: int) -> Exception:
    """MLflow's exception of a status: 403 or 409."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, RESOURCE_CONFLICT

    code = PERMISSION_DENIED if status == 403 else RESOURCE_CONFLICT
    return MlflowException(text, error_code=code)
