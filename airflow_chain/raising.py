"""Our errors as Airflow's: what a retry may mend, and what it can't.

Airflow's own are taken from here, for they moved in 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chain_client.errors import AnotherRelay, ChainError, Unavailable

try:
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowSkipException,
    )
except ImportError:  # Airflow 3.1
    from airflow.exceptions import (  # type: ignore[attr-defined,no-redef]
        AirflowException,
        AirflowFailException,
        AirflowSkipException,
    )

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowSkipException",
    "is_passing",
    "raising_for_airflow",
    "to_airflow",
]


def is_passing(error: ChainError) -> bool:
    """Whether a later try may succeed without anybody mending anything."""
    return isinstance(error, Unavailable | AnotherRelay)


def to_airflow(error: ChainError) -> Exception:
    """The error that Airflow retries, or fails without a retry."""
    kind = AirflowException if is_passing(error) else AirflowFailException
    return kind(f"{type(error).__name__}: {error}")


@contextmanager
def raising_for_airflow() -> Iterator[None]:
    """Raise our errors as Airflow's, which prints them into the task's log.

    Guarantee: nothing of what caused them is printed with them. A library's own text may show the
    URL of an endpoint, and in it an access key.

    Raises:
        AirflowException: something does not answer; a retry may succeed.
        AirflowFailException: refused, rejected or wrong; a retry would be as well.
    """
    try:
        yield
    except ChainError as exc:
        raise to_airflow(exc) from None
