"""What Hypothesis draws in more than one test: JSON values, names, events.

Strategies reach for what is hard on purpose: numbers at the edges of exactness, strings that look
like typed numbers, names whose order differs between UTF-8 and UTF-16.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from hypothesis import settings
from hypothesis import strategies as st

from chain_client.events import (
    RESERVED_FIELDS,
    Actor,
    Event,
    Json,
    OutcomeStatus,
    Subject,
    Timing,
)
from chain_client.types import EventId, SourceId

MetricRow: TypeAlias = list[Json]
"""Key, value, timestamp in ms, step."""

EDGE_FLOATS = (
    0.0,
    -0.0,
    1.0,
    1e-7,
    1e-6,
    1e16,
    1e21,
    1e20,
    5e-324,
    1.7976931348623157e308,
    float(2**53),
    float("nan"),
    float("inf"),
    float("-inf"),
)
EDGE_INTS = (0, -1, 2**53 - 1, 2**53, 2**53 + 1, -(2**53), 2**63, 10**30)
EDGE_TEXTS = (
    "",
    "number:",
    "number:NaN",
    "number:9007199254740992",
    "string:",
    "string:number:NaN",
    "numbers",
    "\u2028\x7f\x00",
    '"\\/\b\f\n\r\t',
    "\ufb33",
    "\U0001f600",
)


def examples(count: int) -> int:
    """Number of examples for a test that needs ``count`` in an ordinary run.

    Use it as ``settings(max_examples=examples(50))``: `make soak` looks twenty times as far, the
    profile ``quick`` stays at 15.
    """
    profile = settings.get_current_profile_name()
    if profile == "quick":
        return min(count, 15)
    return count * 20 if profile == "soak" else count


def texts(max_size: int = 20) -> st.SearchStrategy[str]:
    """Text that UTF-8 can hold; some of it looks like a typed string."""
    return st.one_of(
        st.text(max_size=max_size),
        st.sampled_from(EDGE_TEXTS),
        st.builds(str.__add__, st.sampled_from(("number:", "string:")), st.text(max_size=max_size)),
    )


def integers() -> st.SearchStrategy[int]:
    """Ints of any size, often around 2**53."""
    return st.one_of(st.integers(), st.sampled_from(EDGE_INTS))


def floats() -> st.SearchStrategy[float]:
    """All floats: subnormal, whole, NaN, infinite."""
    return st.one_of(st.floats(), st.sampled_from(EDGE_FLOATS))


def json_scalars() -> st.SearchStrategy[Json]:
    """JSON values that hold no others."""
    return st.one_of(st.none(), st.booleans(), integers(), floats(), texts())


def json_values(max_leaves: int = 12) -> st.SearchStrategy[Json]:
    """JSON values of lists and dicts; no tuples, so they compare equal after a round trip."""
    return st.recursive(
        json_scalars(),
        lambda inner: st.one_of(
            st.lists(inner, max_size=5), st.dictionaries(texts(8), inner, max_size=5)
        ),
        max_leaves=max_leaves,
    )


def field_names() -> st.SearchStrategy[str]:
    """Names that a part of a payload may have."""
    return st.one_of(
        st.sampled_from(("metrics", "params", "tags", "name", "value")),
        texts(8),
    ).filter(lambda name: name != "" and "/" not in name and name not in RESERVED_FIELDS)


def metric_rows(min_size: int = 0, max_size: int = 20) -> st.SearchStrategy[list[MetricRow]]:
    """The rows of a ``log_batch``: key, value, timestamp in ms, step."""
    row: st.SearchStrategy[MetricRow] = st.builds(
        lambda key, value, timestamp_ms, step: [key, value, timestamp_ms, step],
        st.one_of(st.sampled_from(("loss", "accuracy")), texts(8)),
        floats(),
        st.integers(0, 2**42),
        st.integers(-10, 10**6),
    )
    return st.lists(row, min_size=min_size, max_size=max_size)


def payloads() -> st.SearchStrategy[dict[str, Json]]:
    """Payloads of an event, tables of metrics among them."""
    return st.dictionaries(
        field_names(), st.one_of(json_values(), metric_rows(max_size=5)), max_size=4
    )


def ids() -> st.SearchStrategy[bytes]:
    """Ids of events and sources, and seeds: 16 bytes."""
    return st.binary(min_size=16, max_size=16)


seeds = ids


def subjects() -> st.SearchStrategy[Subject]:
    """Entities of a host."""
    kinds = st.sampled_from(("run", "experiment", "registered_model", "model_version"))
    return st.builds(Subject, texts(8), st.one_of(kinds, texts(8)), texts())


def events(
    payload: st.SearchStrategy[Mapping[str, Json]] | None = None,
) -> st.SearchStrategy[Event]:
    """Whole events of every status, also with members that no host would combine."""
    numbers = st.integers(0, 2**53 - 1)
    parts = st.dictionaries(texts(8), json_values(6), max_size=3)
    return st.builds(
        Event,
        event_id=ids().map(EventId),
        type=st.one_of(st.sampled_from(("run.created", "run.metrics_logged")), texts()),
        source_id=ids().map(SourceId),
        sequence=numbers,
        time_us=numbers,
        status=st.sampled_from(OutcomeStatus),
        subject=subjects(),
        actor=st.builds(Actor, st.none() | texts(), st.none() | texts()),
        timing=st.builds(Timing, numbers, st.none() | numbers, st.none() | numbers),
        payload=payloads() if payload is None else payload,
        result=st.none() | parts,
        error=st.none() | texts(),
        detail=st.none() | parts,
    )


def leaf_hashes(min_size: int = 0, max_size: int = 70) -> st.SearchStrategy[list[bytes]]:
    """Lists of different hashes, long enough for every shape of a small tree."""
    return st.builds(
        lambda size, salt: [bytes([salt]) * 28 + index.to_bytes(4, "big") for index in range(size)],
        st.integers(min_size, max_size),
        st.integers(0, 255),
    )
