"""Tags that are not for users: those that show what the chain says, and MLflow's prompt marker."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from chain_client.hosts import RESERVED_TAGS
from mlflow_chain.reading.governed import PROMPT_MARK

_ours = threading.local()


@contextmanager
def setting_reserved_tags() -> Iterator[None]:
    """What this thread sets in the block are the tags that show what the chain says."""
    before = getattr(_ours, "allowed", False)
    _ours.allowed = True
    try:
        yield
    finally:
        _ours.allowed = before


def is_reserved(key: object) -> bool:
    """Whether a tag's key is reserved, also where the database takes ``MLOPS_CHAIN.x`` for it."""
    if getattr(_ours, "allowed", False):
        return False
    return _folded(key).startswith(RESERVED_TAGS)


def key_of(tag: object) -> object:
    """The key of a tag; of what is none, MLflow refuses to set it in its own words."""
    return getattr(tag, "key", "")


def is_prompt_marker(key: object) -> bool:
    """Whether it is MLflow's marker of prompts."""
    return _folded(key) == PROMPT_MARK


def without_reserved(tags: Iterable[Any] | None) -> list[Any] | None:
    """The tags that a user may set; None if there is nothing to leave out."""
    given = list(tags or ())
    kept = [tag for tag in given if not is_reserved(key_of(tag))]
    return None if len(kept) == len(given) else kept


def _folded(key: object) -> str:
    plain = unicodedata.normalize("NFKD", str(key)).casefold().strip()
    return "".join(char for char in plain if not unicodedata.combining(char))
