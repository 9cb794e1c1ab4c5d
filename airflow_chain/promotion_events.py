"""What triggered a DAG run that waits for decisions about models. Knows no Airflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def promotion_events(context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The decisions that triggered this DAG run, each once, in the order in which they were made.

    Airflow may start one run for several events, so a task has to look at all of them. An event
    that was told again after a triggerer's restart is left out if the asset has an earlier one of
    the same id; for that look the task needs the asset among its ``inlets``.

    Args:
        context: of the task; uses ``triggering_asset_events`` and ``inlet_events``.

    Returns:
        payloads, as `PromotionEventTrigger` describes them.

    Example:
        >>> @task(inlets=[approvals])
        ... def deploy(**context):
        ...     for event in promotion_events(context):
        ...         print(event["model_name"], event["version"])
    """
    found: dict[str, dict[str, Any]] = {}
    for asset, events in context["triggering_asset_events"].items():
        for event in events:
            payload = _payload(event)
            if payload is None or payload["event_id"] in found:
                continue
            if payload.get("again") and _was_there(context, asset, payload, event.timestamp):
                continue
            found[payload["event_id"]] = payload
    return sorted(found.values(), key=lambda payload: payload["block"])


def _was_there(context: Mapping[str, Any], asset: Any, payload: Any, before: Any) -> bool:
    try:
        earlier: Iterable[Any] = context["inlet_events"][asset]
    except KeyError:
        return False  # not among the inlets: twice is better than never
    return any(
        one.timestamp < before and (_payload(one) or {}).get("event_id") == payload["event_id"]
        for one in earlier
    )


def _payload(event: Any) -> dict[str, Any] | None:
    """Of an asset event, if it is one of ours."""
    payload = (event.extra or {}).get("payload")
    return payload if isinstance(payload, dict) and "event_id" in payload else None
