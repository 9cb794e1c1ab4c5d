"""Whatever order concurrent calls really had, it is allowed; what nobody wrote, or what was
surely overwritten, is not."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from chain_client.events import OutcomeStatus
from chain_client.hosts import Finding, Scope
from mlflow_chain.verifying.compare_registry import compare_registered_model
from mlflow_chain.verifying.differences import compare_keys
from mlflow_chain.verifying.replay import replay
from mlflow_chain.verifying.state import State
from tests.strategies import examples
from tests.unit.mlflow_chain.interleaved import (
    NAMES,
    RUN,
    Call,
    Database,
    carry_out,
    histories,
    record,
)

_orders = st.lists(st.integers(0, 3), max_size=30)

_settings = settings(
    max_examples=examples(250), suppress_health_check=[HealthCheck.too_slow], deadline=None
)


def _findings(state: State, database: Database) -> Iterator[Finding]:
    yield from compare_keys("tag", f"run {RUN}", state.runs[RUN].tags, database.tags)
    for name in NAMES:
        found = compare_registered_model(name, state.models.get(name), database.view(name))
        yield from (item for item in found if isinstance(item, Finding))


def _show(calls: list[Call]) -> None:
    note("\n".join(map(repr, sorted(calls, key=lambda call: call.commit))))


@_settings
@given(histories(), _orders)
def test_what_really_happened_is_no_finding(calls: list[Call], order: list[int]) -> None:
    database = carry_out(calls)
    state = replay(record(calls, order), Scope())
    _show(calls)
    assert list(_findings(state, database)) == []


@_settings
@given(histories(kinds=["run.tag_set"]), _orders)
def test_a_value_that_was_surely_overwritten_is_refused(
    calls: list[Call], order: list[int]
) -> None:
    database = carry_out(calls)
    state = replay(record(calls, order), Scope())
    for key, value in database.tags.items():
        writes = [call for call in calls if call.payload["tags"][0][0] == key]
        for call in writes:
            old = call.payload["tags"][0][1]
            others = [c for c in writes if c.payload["tags"][0][1] == old]
            if old != value and all(_is_overwritten(other, writes) for other in others):
                _show(calls)
                database.tags[key] = old
                (finding,) = _findings(state, database)
                assert finding.kind == "tag_changed"
                assert finding.actual == old
        database.tags[key] = value


def _is_overwritten(call: Call, writes: list[Call]) -> bool:
    """Whether another write is known to have begun after it ended, on the same machine."""
    return call.status is OutcomeStatus.DONE and any(
        other.status is OutcomeStatus.DONE
        and other.start > call.end
        and other.source // 2 == call.source // 2
        for other in writes
    )


@_settings
@given(histories(), _orders, st.data())
def test_a_value_that_nobody_wrote_is_a_finding(
    calls: list[Call], order: list[int], data: st.DataObject
) -> None:
    database = carry_out(calls)
    state = replay(record(calls, order), Scope())
    changes = _changes(database, state)
    if not changes:
        return
    change = data.draw(st.sampled_from(changes))
    target, key = change
    _show(calls)
    target[key] = "nobody's"  # type: ignore[index]
    found = list(_findings(state, database))
    assert [finding.actual for finding in found] == ["nobody's"], found


def _changes(database: Database, state: State) -> list[tuple[object, str]]:
    """Where a value could be put that nobody wrote, of what can be told for sure."""
    found: list[tuple[object, str]] = [(database.tags, key) for key in database.tags]
    for name, model in database.models.items():
        expected = state.models[name]
        if expected.wild:
            continue
        found += [(model.tags, key) for key in model.tags]
        found += [(model.aliases, key) for key in model.aliases]
        found += [
            (row, key)
            for row in model.versions.values()
            for key in ("current_stage", "source", "description")
        ]
        found.append((model.fields, "description"))
    return found
