"""What `mlflow.record` adds: the calls of each group, without any secret."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import AssessmentSource, Feedback, TraceInfo, TraceLocation, TraceState
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent
from mlflow.exceptions import MlflowException
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

import mlflow_chain
from chain_client.client import ChainClient
from chain_client.config import MLFLOW_GROUPS
from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import Finding, Resolution, Scope
from chain_client.verify import read_spooled
from mlflow_chain.host import MlflowHost
from mlflow_chain.stores.extras import event_type, find_extra
from mlflow_chain.stores.marker import MARKERS
from mlflow_chain.stores.passed import GROUPS
from tests.integration.mlflow_stays.conftest import open_home

SECRET = "sk-never-to-be-seen"
Calls = list[tuple[str, str, Callable[[], Any]]]


class World:
    """Stores on one database, and calls of every group."""

    def __init__(self, client: ChainClient, file: Path) -> None:
        tracking: Any = SqlAlchemyStore(f"sqlite:///{file}", "/artifacts")
        registry: Any = RegistryStore(f"sqlite:///{file}")
        self.tracking = mlflow_chain.wrap(tracking, client)
        self.registry = mlflow_chain.wrap(registry, client)
        self.client = client
        self.run = tracking.create_run("0", "me", 1, [], "n").info.run_id

    def close(self) -> None:
        self.tracking._dispose_engine()
        self.registry.engine.dispose()

    def events(self) -> list[Event]:
        found = read_spooled(self.client.folder.spool, self.client.log).events.values()
        events = [e for e in found if e.type.partition(".")[0] in GROUPS]
        return sorted(events, key=lambda event: event.sequence)

    def calls(self) -> Calls:
        """Group, method, call; only what the installed MLflow has."""
        t, r = self.tracking, self.registry
        location = TraceLocation.from_experiment_id("0")
        info = TraceInfo("tr-1", location, 5, TraceState.OK, request_preview="x" * 9000)
        source = AssessmentSource("HUMAN", "me")
        hook = WebhookEvent(WebhookEntity.MODEL_VERSION, WebhookAction.CREATED)
        found: Calls = [
            ("traces", "start_trace", lambda: t.start_trace(info)),
            ("traces", "set_trace_tag", lambda: t.set_trace_tag("tr-1", "a", "1")),
            ("traces", "link_traces_to_run", lambda: t.link_traces_to_run(["tr-1"], self.run)),
            ("traces", "delete_trace_tag", lambda: t.delete_trace_tag("tr-1", "a")),
            (
                "assessments",
                "create_assessment",
                lambda: t.create_assessment(Feedback("good", True, source=source, trace_id="tr-1")),
            ),
            ("evaluation", "create_dataset", lambda: t.create_dataset("d", {"a": "1"}, ["0"])),
            ("scorers", "register_scorer", lambda: t.register_scorer("0", "sc", "{}")),
            ("scorers", "delete_scorer", lambda: t.delete_scorer("0", "sc")),
            ("issues", "create_issue", lambda: t.create_issue("0", "slow", "text")),
            (
                "gateway",
                "create_gateway_secret",
                lambda: t.create_gateway_secret(
                    "named", {"api_key": SECRET}, "openai", {"region": SECRET}
                ),
            ),
            ("mcp", "create_mcp_server", lambda: t.create_mcp_server("io.test/tool")),
            (
                "webhooks",
                "create_webhook",
                lambda: r.create_webhook("h", f"https://1.1.1.1/{SECRET}", [hook], "d", SECRET),
            ),
            ("traces", "delete_traces", lambda: t.delete_traces("0", trace_ids=["tr-1"])),
        ]
        return [call for call in found if hasattr(t, call[1]) or hasattr(r, call[1])]


@pytest.fixture
def world(
    eager_client: ChainClient,
    new_database: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    monkeypatch.setenv("MLFLOW_CRYPTO_KEK_PASSPHRASE", "passphrase of this test")
    made = World(eager_client, new_database("a"))
    yield made
    made.close()


def test_each_call_is_one_event_with_its_arguments(world: World) -> None:
    calls = world.calls()
    for group, method, call in calls:
        before = len(world.events())
        call()
        (event,) = world.events()[before:]
        assert (event.type, event.status) == (event_type(group, method), OutcomeStatus.DONE)
        assert event.subject.kind == group
    payload = world.events()[1].payload
    assert payload == {"trace_id": "tr-1", "key": "a", "value": "1"}
    assert world.events()[1].subject.id == "tr-1"
    (trace,) = world.events()[0].payload.values()
    assert isinstance(trace, dict)
    assert trace.keys() == {"sha256", "size"}


def test_no_secret_is_recorded(world: World) -> None:
    for _, _, call in world.calls():
        call()
    secret = next(e for e in world.events() if e.type == "gateway.gateway_secret_created")
    assert secret.payload["secret_value"] == secret.payload["auth_config"] == "withheld"
    assert secret.payload["secret_name"] == "named"
    files = [file for file in world.client.folder.path.rglob("*") if file.is_file()]
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []


def test_by_default_nothing_of_them_is_recorded(
    client: ChainClient, new_database: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_CRYPTO_KEK_PASSPHRASE", "passphrase of this test")
    world = World(client, new_database("a"))
    for _, _, call in world.calls():
        call()
    assert world.events() == []
    world.close()


def test_one_word_records_its_group_alone(
    home: Path, new_database: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_CRYPTO_KEK_PASSPHRASE", "passphrase of this test")
    client = open_home(home, " scorers ,prompts")
    world = World(client, new_database("a"))
    for _, _, call in world.calls():
        call()
    assert [event.type for event in world.events()] == [
        "scorers.scorer_registered",
        "scorers.scorer_deleted",
    ]
    world.close()
    client.recorder.close()
    client.close()


def test_verification_passes_over_them(world: World) -> None:
    for _, _, call in world.calls():
        call()
    (binding,) = world.client.folder.bindings()
    events = read_spooled(world.client.folder.spool, world.client.log).events.values()
    found = MlflowHost().compare(binding, list(events), Scope(), lambda *step: None)
    assert [item for item in found if isinstance(item, Finding)] == []


def test_a_call_in_doubt_is_resolved_by_its_marker(world: World) -> None:
    for _, _, call in world.calls():
        call()
    for event in world.events():
        expected = OutcomeStatus.RECOVERED
        method = find_extra(event.type)
        assert method is not None
        if method.multi_commit:
            expected = OutcomeStatus.UNDETERMINED
        assert resolve(world, event).status is expected, event.type
    with world.tracking.engine.begin() as connection:
        connection.execute(MARKERS.delete())
    for event in world.events():
        assert resolve(world, event).status is OutcomeStatus.NOT_APPLIED


def resolve(world: World, event: Event) -> Resolution:
    (binding,) = world.client.folder.bindings()
    (found,) = MlflowHost().resolve(binding, [event])
    return found


def test_a_refused_call_is_recorded_as_failed(world: World) -> None:
    with pytest.raises(MlflowException, match="nobody"):
        world.tracking.update_issue("nobody", name="n")
    (event,) = world.events()
    assert event.status is OutcomeStatus.FAILED


def test_types_are_distinct_and_words_are_those_of_the_setting() -> None:
    types = [event_type(group, name) for group, names in GROUPS.items() for name in names]
    assert len(types) == len(set(types))
    assert {*GROUPS, "prompts"} == set(MLFLOW_GROUPS)
    for group, names in GROUPS.items():
        for name in names:
            assert find_extra(event_type(group, name)) is not None
