"""Which URIs are recorded: those with our prefix, and plain ones where a setting says so."""

from __future__ import annotations

import os
from pathlib import Path

from chain_client.config import read_setting
from mlflow_chain.process import served_backend
from mlflow_chain.uri import find_refusal, is_chain_uri, scheme_of

PLAIN_SETTING = "mlflow.plain_uris"

PLAIN_SCHEMES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https")
"""Plain schemes for which MLflow asks us for the store; each has entry points of its own."""


def is_recorded_uri(uri: object) -> bool:
    """Whether a store of that URI is to be recorded.

    Raises:
        ConfigurationError: the setting can't be read, though the environment names it or a home.
    """
    if is_chain_uri(uri):
        return True
    if not isinstance(uri, str) or scheme_of(uri).partition("+")[0] not in PLAIN_SCHEMES:
        return False
    return records_plain_uris() and find_refusal(uri) is None


def records_plain_uris() -> bool:
    """Whether plain URIs are recorded too; no file is read if the environment has nothing of ours.

    Raises:
        ConfigurationError: as `is_recorded_uri`.
    """
    return bool(read_setting(PLAIN_SETTING, os.environ, Path.cwd))


def find_recorded_uri(tracking_uri: str | None) -> str | None:
    """The tracking URI under which an artifact repository's files are recorded.

    Args:
        tracking_uri: what the repository was built with; None or empty for the process's own.

    Returns:
        None if they are not recorded.

    Raises:
        ConfigurationError: as `is_recorded_uri`.
    """
    uri = tracking_uri or served_backend()
    if not uri:
        from mlflow.tracking._tracking_service.utils import get_tracking_uri

        uri = get_tracking_uri()
    return uri if is_recorded_uri(uri) else None
