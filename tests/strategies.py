"""Hypothesis strategies for what the tests share: JSON values, events, trees."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

from chain_client.events import RESERVED_FIELDS, Actor, Event, Json, OutcomeStatus, Subject, Timing
from chain_client.types import EventId, SourceId

_TYPED = ("number:", "string:")


def examples(count: int) -> int:
    """Number of examples for a test that needs ``count`` in an ordinary run.

    Use it as ``settings(max_examples=examples(50))``: `make soak` looks twenty times as far, the
    profile ``quick`` stays at 15.
    """
    profile = settings.get_current_profile_name()
    if profile == "quick":
        return min(count, 15)
    return count * 20 if profile == "soak" else count


texts = st.text(max_size=12) | st.sampled_from(["loss", "€\U0001f600\ufb33", 'a\n"\\\x7f\x0f', ""])
"""Text that UTF-8 can hold."""

plain_texts = texts.filter(lambda text: not text.startswith(_TYPED))
"""Text that RFC 8785 and we write alike."""

typed_texts = st.builds(lambda prefix, text: prefix + text, st.sampled_from(_TYPED), texts)
"""Text that looks like our typed strings."""

plain_numbers = (
    st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(-100, 100)
    | st.integers(-1000, 1000).map(float)
)
"""Numbers that RFC 8785 and we write alike."""

numbers = plain_numbers | st.floats() | st.integers()
"""Every number, those without RFC 8785 form included."""

plain_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | plain_numbers | plain_texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=12,
)
"""JSON values that RFC 8785 and we write alike."""

values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | numbers | texts | typed_texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=12,
)
"""All JSON values that have a canonical form."""


@st.composite
def tables(draw: st.DrawFn, cells: st.SearchStrategy[Json] = values) -> list[Json]:
    """Lists of rows, most of them of one width and with one type a column."""
    kinds = st.sampled_from(
        [texts, typed_texts, numbers, st.floats(), st.floats(-1, 1), st.integers(), cells]
    )
    columns = draw(st.lists(kinds, max_size=4))
    rows = draw(st.lists(st.tuples(*columns).map(list), max_size=12))
    return [*rows, *draw(st.just([]) | st.lists(cells, max_size=2))]


field_names = (
    st.sampled_from(["metrics", "params", "tags", "name", "\U0001f600", "\ufb33"])
    | st.text(min_size=1, max_size=8)
).filter(lambda name: "/" not in name and name not in RESERVED_FIELDS)
"""Names that parts of a payload may have."""

_counts = st.integers(0, 2**53 - 1)
_objects = st.dictionaries(texts, values, max_size=3)


def events(
    payloads: st.SearchStrategy[dict[str, Json]] | None = None,
) -> st.SearchStrategy[Event]:
    """Events of every status; lists in them are lists, never tuples."""
    return st.builds(
        Event,
        event_id=st.binary(min_size=16, max_size=16).map(EventId),
        type=texts | typed_texts,
        source_id=st.binary(min_size=16, max_size=16).map(SourceId),
        sequence=_counts,
        time_us=_counts,
        status=st.sampled_from(OutcomeStatus),
        subject=st.builds(Subject, texts, texts, texts),
        actor=st.builds(Actor, st.none() | texts, st.none() | texts),
        timing=st.builds(Timing, _counts, st.none() | _counts, st.none() | _counts),
        payload=payloads or st.dictionaries(field_names, values | tables(), max_size=4),
        result=st.none() | _objects,
        error=st.none() | texts,
        detail=st.none() | _objects,
    )


metric_rows: st.SearchStrategy[list[Json]] = st.lists(
    st.tuples(
        st.sampled_from(["loss", "accuracy"]) | texts,
        st.floats(),
        st.integers(0, 2**42),
        st.integers(-10, 10**6),
    ).map(list),
    max_size=20,
)
"""Tables of metrics as ``log_batch`` takes them: key, value, timestamp in ms, step."""

seeds = st.binary(min_size=16, max_size=16)
"""Seeds of events."""


def leaf_hashes(min_size: int = 0, max_size: int = 70) -> st.SearchStrategy[list[bytes]]:
    """Lists of different leaf hashes, long enough for every shape of a small tree."""
    return st.builds(
        lambda size, salt: [bytes([salt]) * 28 + index.to_bytes(4, "big") for index in range(size)],
        st.integers(min_size, max_size),
        st.integers(0, 255),
    )
