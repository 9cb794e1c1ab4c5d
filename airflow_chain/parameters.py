"""Parameters of operators and sensors, as templates leave them."""

from __future__ import annotations

from airflow_chain.raising import AirflowFailException


def to_version(value: int | str | None) -> int:
    """The number of a version, however it was given.

    Raises:
        AirflowFailException: it is none.
    """
    text = str(value).strip()
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise AirflowFailException(
            f"version: expected a whole number from 1 on, got {text[:80]!r}; where it comes from "
            "XCom, see what that task returned"
        )
    return int(text)
