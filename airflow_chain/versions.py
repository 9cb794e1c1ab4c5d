"""What differs between Airflow 3.1 and the newest, in one place."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


def prepare() -> None:
    """Import what `mask` needs, so that the first call is quick."""
    _masker()


def mask(value: Any, name: str) -> Any:
    """A value with everything masked that Airflow knows as secret.

    Raises:
        ImportError: this Airflow masks by other means than those that are known: then nothing is
            to be recorded of a value.
    """
    return _masker().redact(value, name)


@cache
def _masker() -> Any:
    try:
        return import_module("airflow.sdk._shared.secrets_masker")
    except ImportError:
        return import_module("airflow.sdk.execution_time.secrets_masker")  # Airflow 3.1


def next_method(task_instance: Any) -> str | None:
    """What the task runner calls now that a deferral has ended; None in a first call."""
    found = getattr(_from_server(task_instance), "next_method", None)
    return None if not found else str(found)


def reschedules(task_instance: Any) -> int:
    """How often this try has asked to be called again."""
    found = getattr(_from_server(task_instance), "task_reschedule_count", None)
    return found if isinstance(found, int) else 0


def _from_server(task_instance: Any) -> Any:
    return getattr(task_instance, "_ti_context_from_server", None)
