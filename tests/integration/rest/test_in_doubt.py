"""Clients that die between intent and outcome: what the server shows for sure is said, no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import LoggedModelInput, Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking._tracking_service.utils import _get_store

from chain_client.event_codec import decode_event
from chain_client.events import Event, OutcomeStatus
from chain_client.hosts import Finding, Remark, Scope, Unchecked
from chain_client.relay.service import Relay
from chain_client.testing.crash import run_killed
from mlflow_chain.host import MlflowHost
from mlflow_chain.resolving import LONGEST_CALL_S, SERVER_PATIENCE_S, Patience
from tests.integration.rest import writing_script
from tests.integration.rest.test_recording import unique
from tests.recorded_database import Recorded

SCRIPT = Path(writing_script.__file__)
SENT, INTENT = "spool.outcome.before_write", "spool.intent.synced"

KILLS = {
    "a run": (SENT, 1),
    "a param": (SENT, 2),
    "a batch": (SENT, 4),
    "no param": (INTENT, 2),
}
"""Of the script's calls: run, param, tag, batch, end of the run."""


class Time:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.past_s = 0.0

    def time_us(self) -> int:
        from chain_client.clock import SystemClock

        return SystemClock().time_us()

    def monotonic_us(self) -> int:
        return int(self.past_s * 1e6)


@contextmanager
def relaying(recorded: Recorded, host: MlflowHost) -> Iterator[Relay]:
    relay = recorded.client.relay(lambda name: host)
    relay.start()
    try:
        yield relay
    finally:
        relay.close()


def logged(recorded: Recorded) -> list[Event]:
    log = recorded.client.log
    entries = log.entries(0, log.size())
    return [decode_event(entry.event) for entry in entries if entry.event is not None]


def compared(recorded: Recorded) -> list[Finding | Unchecked | Remark]:
    """What a verification says of all that is in the log and in the spool."""
    (binding,) = recorded.client.folder.bindings()
    events = [*logged(recorded), *recorded.events()]
    return list(MlflowHost().compare(binding, events, Scope(), lambda *step: None))


def killed_types(events: list[Event]) -> dict[str, OutcomeStatus]:
    doubted = (OutcomeStatus.DONE, OutcomeStatus.FAILED)
    return {event.type: event.status for event in events if event.status not in doubted}


def test_what_a_killed_client_sent_is_recovered_or_undetermined(
    tracked: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = mlflow.MlflowClient()
    experiment = client.create_experiment(unique("killed"))
    monkeypatch.setenv("MLOPS_CHAIN_SPOOL_DURABILITY", "power")
    for step, count in KILLS.values():
        run_killed(SCRIPT, experiment, "1", step_name=step, count=count, timeout_s=120)
    assert len(client.search_runs([experiment])) == len(KILLS)
    time = Time()
    with relaying(tracked, MlflowHost(clock=time)) as relay:
        relay.run_round()
        relay.run_round()
        assert killed_types(logged(tracked)) == {"run.param_logged": OutcomeStatus.RECOVERED}
        assert tracked.client.log.alarms() == []
        time.past_s = SERVER_PATIENCE_S - 1
        relay.run_round()
        assert len(killed_types(logged(tracked))) == 1
        assert [item for item in compared(tracked) if isinstance(item, Finding)] == []
        time.past_s = SERVER_PATIENCE_S + 1
        relay.run_round()
        assert tracked.client.log.alarms() == []
    events = logged(tracked)
    assert killed_types([e for e in events if e.type != "run.param_logged"]) == {
        "run.created": OutcomeStatus.UNDETERMINED,
        "run.batch_logged": OutcomeStatus.PARTLY_APPLIED,
    }
    params = [event.status for event in events if event.type == "run.param_logged"]
    assert params.count(OutcomeStatus.RECOVERED) == params.count(OutcomeStatus.NOT_APPLIED) == 1
    batch = next(e for e in events if e.status is OutcomeStatus.PARTLY_APPLIED)
    assert batch.detail is not None
    assert set(batch.detail) == {"metrics", "params", "undetermined"}
    found = compared(tracked)
    assert [item for item in found if isinstance(item, Finding)] == []
    remarks = [item for item in found if "would have made it" in getattr(item, "text", "")]
    assert len(remarks) == 1
    # A second run that nobody recorded is one too many.
    start = next(r.info for r in client.search_runs([experiment]) if r.info.run_id in str(remarks))
    plain: Any = mlflow.MlflowClient(tracked.uri.removeprefix("chain+"))
    plain.create_run(experiment, start_time=start.start_time, run_name=start.run_name)
    again = [item.kind for item in compared(tracked) if isinstance(item, Finding)]
    assert again == ["run_unexpected"]


@pytest.mark.parametrize(
    "write",
    [
        lambda run, model: _get_store().log_metric(run, Metric("m", float("nan"), 1, 1)),
        lambda run, model: _get_store().log_param(run, Param("q", "")),
        lambda run, model: _get_store().log_inputs(run, models=[LoggedModelInput(model)]),
    ],
    ids=["metric", "param", "inputs"],
)
def test_an_answer_that_is_lost_leaves_a_set_insert_recoverable(
    tracked: Recorded, write: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    import requests

    store = _get_store()
    run = store.create_run("0", "me", 1, [], unique("r")).info.run_id
    model = store.create_logged_model("0", "net").model_id
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    def lose(self: Any, *args: Any, **kwargs: Any) -> Any:
        send(self, *args, **kwargs).close()
        raise requests.ConnectionError("reset by peer")

    send = requests.Session.send
    with monkeypatch.context() as patch:
        patch.setattr(requests.Session, "send", lose)
        with pytest.raises(MlflowException, match="reset by peer"):
            write(run, model)
    (doubtful,) = (e for e in tracked.events() if e.status is OutcomeStatus.UNDETERMINED)
    (binding,) = tracked.client.folder.bindings()
    (answer,) = MlflowHost().resolve(binding, [doubtful])
    assert answer.status is OutcomeStatus.RECOVERED
    assert tracked.findings(run_id=run) == []


def test_a_relay_that_never_lives_long_settles_by_the_age_of_the_intent(
    tracked: Recorded,
) -> None:
    from dataclasses import replace

    mlflow.MlflowClient().create_experiment(unique("old"))
    event = tracked.events()[-1]
    young, late = Patience(120, Time()), Patience(120, Time())
    old = replace(event, time_us=event.time_us - int((LONGEST_CALL_S + 121) * 1e6))
    assert young.see(event)
    assert late.see(old)
    assert not young.see(event)
    assert (young.is_over(event), late.is_over(old)) == (False, True)
