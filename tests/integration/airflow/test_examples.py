"""The example DAGs, run by a whole Airflow; and what may go wrong in one: retry, zombie, backfill.

All of it goes on in one deployment at the same time, as it would, once for all of pytest's workers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from chain_client.events import Event
from tests.airflow_deployment import Deployment, running_airflow
from tests.airflow_home import AirflowHome, Sections, relayed_events
from tests.integration.airflow.embedded_team import EmbeddedTeam
from tests.postgres import running_postgres

pytestmark = pytest.mark.timeout(900)

EXAMPLES = Path(__file__).parents[3] / "examples/dags"
MODEL = "wine-quality"
PATIENCE_S = 300

FAULTY = '''
"""A task that somebody kills together with what watches it; and a day's work, twice."""
import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from airflow.sdk import DAG, task

FOLDER = Path({folder!r})

TRIED_TWICE = {{"retries": 1, "retry_delay": timedelta(seconds=1)}}

with DAG("killed", schedule=None, default_args=TRIED_TWICE):

    @task
    def hang(**context):
        if context["ti"].try_number > 1:
            return
        written = FOLDER / "written"
        written.write_text(f"{{os.getpid()}} {{os.getppid()}}")
        written.rename(FOLDER / "pids")
        time.sleep(600)

    hang()

with DAG(
    "daily",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args=TRIED_TWICE,
):

    @task
    def work(**context):
        mark = FOLDER / f"day-{{context['ds']}}"
        if not mark.exists():
            mark.touch()
            raise ConnectionError("the first time it always fails")

    work()
'''


@dataclass
class Story:
    """What was seen when everything had ended.

    Args:
        team: whose models they are; its home is still there.
        runs: ids of the DAG runs by DAG id.
        states: of their task instances: by DAG and run id, (task id, map index) → state and try.
        events: everything in the log.
        announced: what `on_approval` made of its events.
        verified: exit code and report of `mlops-chain verify`.
    """

    team: EmbeddedTeam
    runs: dict[str, list[str]] = field(default_factory=dict)
    states: dict[tuple[str, str], dict[tuple[str, int], tuple[str, int]]] = field(
        default_factory=dict
    )
    events: list[Event] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    verified: tuple[int, dict[str, Any]] = (-1, {})

    def of_task(self, dag_id: str, run_id: str, task_id: str, index: int = -1) -> list[str]:
        """Types of what its own hooks told of a task instance, in the order of the log."""
        wanted = f"{dag_id}/{run_id}/{task_id}/{index}"
        found = [event for event in self.events if event.subject.id == wanted]
        return [event.type.removeprefix("task_instance.") for event in found]

    def end_of(self, dag_id: str, run_id: str) -> list[Event]:
        """The events of the end of a DAG run."""
        wanted, ends = f"{dag_id}/{run_id}", ("dag_run.succeeded", "dag_run.failed")
        return [e for e in self.events if e.subject.id == wanted and e.type in ends]


def payload_of(event: Event) -> dict[str, Any]:
    """The parts of an event's payload."""
    return dict(event.payload)


@pytest.fixture(scope="module")
def story(
    airflow_template: AirflowHome, founded_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Story:
    """What came of it; whoever asks first, of pytest's workers, has it happen."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "examples"
    folder.mkdir(exist_ok=True)
    told = folder / "story"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not told.exists():
            found = _tell(airflow_template, founded_home, folder / "company")
            told.write_bytes(pickle.dumps(found))
    loaded: Story = pickle.loads(told.read_bytes())  # noqa: S301 - written by this test
    return loaded


def _tell(template: AirflowHome, founded_home: Path, folder: Path) -> Story:
    """Everything is started, approved and killed, and has come to its end."""
    folder.mkdir()
    team = EmbeddedTeam(folder)
    team.found_from(founded_home)
    changes: Sections = {
        "mlops_chain": {"home": team.home},
        "scheduler": {"task_instance_heartbeat_timeout": 20},
    }
    variables = {
        **team.variables,
        "MLOPS_CHAIN_RELAY_HTTP": "",
        "AIRFLOW_CONN_MLOPS_CHAIN_DEFAULT": team.connection,
    }
    story = Story(team)
    with running_postgres() as postgres:
        with running_airflow(
            template, folder / "airflow", postgres, changes, **variables
        ) as airflow:
            airflow.add("relay", "-m", "chain_client.cli", "relay")
            for example in EXAMPLES.glob("*.py"):
                airflow.home.put_dag(example.name, example)
            airflow.home.put_dag("faulty.py", FAULTY.format(folder=str(folder)))
            _live(story, airflow, folder)
        story.events = relayed_events(team.home)
        story.verified = team.verify()  # reads Airflow's database, too
    return story


def _live(story: Story, airflow: Deployment, folder: Path) -> None:
    ada = airflow.ada
    dags = ("train_and_promote", "every_kind_of_task", "on_approval", "killed", "daily")
    airflow.wait(lambda: all(ada.knows(dag_id) for dag_id in dags), PATIENCE_S)
    for dag_id in ("killed", "train_and_promote", "every_kind_of_task"):
        story.runs[dag_id] = [ada.start(dag_id)]
    days = ("--from-date", "2026-01-01", "--to-date", "2026-01-02")
    airflow.home.run_airflow("backfill", "create", "--dag-id", "daily", *days)
    airflow.wait((folder / "pids").exists, PATIENCE_S)
    _kill(folder / "pids")
    airflow.wait(partial(_is_proposed, story, airflow), PATIENCE_S)
    [waiting] = story.team.waiting()
    story.team.approve(waiting["proposal"])
    for dag_id, begin, count in (("daily", "backfill", 2), ("on_approval", "asset", 1)):
        find = partial(_ids, airflow, dag_id, begin)
        airflow.wait(partial(_are_there, find, count), PATIENCE_S)
        story.runs[dag_id] = find()
    for dag_id, run_ids in story.runs.items():
        for run_id in run_ids:
            airflow.wait(partial(_has_ended, airflow, dag_id, run_id), PATIENCE_S)
            story.states[dag_id, run_id] = _states(airflow, dag_id, run_id)
    for run_id in story.runs["on_approval"]:
        path = f"dags/on_approval/dagRuns/{run_id}/taskInstances/announce/xcomEntries/return_value"
        story.announced.append(ada.ask("GET", f"{path}?map_index=0")["value"])


def _is_proposed(story: Story, airflow: Deployment) -> bool:
    [run_id] = story.runs["train_and_promote"]
    assert airflow.ada.run_state("train_and_promote", run_id) != "failed"
    query = "select state from task_instance where task_id = 'wait_for_approval'"
    return airflow.rows(query) == [("deferred",)] and len(story.team.waiting()) == 1


def _are_there(find: Callable[[], list[str]], count: int) -> bool:
    return len(find()) >= count


def _has_ended(airflow: Deployment, dag_id: str, run_id: str) -> bool:
    return airflow.ada.run_state(dag_id, run_id) in ("success", "failed")


def _kill(file: Path) -> None:
    """SIGKILL to a task and to the process that watches it, as a machine's end would."""
    for pid in map(int, file.read_text().split()[::-1]):
        with contextlib.suppress(psutil.NoSuchProcess):
            assert "airflow" in " ".join(psutil.Process(pid).cmdline())
            os.kill(pid, signal.SIGKILL)


def _ids(airflow: Deployment, dag_id: str, begin: str) -> list[str]:
    found = airflow.rows("SELECT run_id FROM dag_run WHERE dag_id = :d ORDER BY id", d=dag_id)
    return [run_id for (run_id,) in found if run_id.startswith(begin)]


def _states(airflow: Deployment, dag_id: str, run_id: str) -> dict[tuple[str, int], Any]:
    rows = airflow.rows(
        "SELECT task_id, map_index, state, try_number FROM task_instance "
        "WHERE dag_id = :d AND run_id = :r",
        d=dag_id,
        r=run_id,
    )
    return {(task, index): (state, tried) for task, index, state, tried in rows}


def test_a_model_is_trained_proposed_approved_and_promoted(story: Story) -> None:
    [run_id] = story.runs["train_and_promote"]
    states = story.states["train_and_promote", run_id]
    assert {state for state, _ in states.values()} == {"success"}
    history = json.loads(story.team.run("model", "history", MODEL, "--json"))["history"]
    assert [each["version"] for each in history if each["what"] == "version promoted"] == [1]
    waited = story.of_task("train_and_promote", run_id, "wait_for_approval")
    assert waited == ["started", "deferred", "resumed", "succeeded"]


def test_everything_that_happened_is_recorded_as_it_was(story: Story) -> None:
    code, report = story.verified
    assert code == 0, json.dumps(report, indent=1)[:5000]
    for (dag_id, run_id), states in story.states.items():
        [end] = story.end_of(dag_id, run_id)
        items = payload_of(end)["task_instances"]
        seen = {(i["task_id"], i["map_index"]): (i["state"], i["try_number"]) for i in items}
        assert seen == states, (dag_id, run_id)


def test_the_approval_starts_the_dag_that_waits_for_it(story: Story) -> None:
    assert len(story.runs["on_approval"]) == 1
    [told] = story.announced
    assert told.startswith(f"{MODEL} version 1 may become alias:champion: block ")


def test_every_kind_of_task_is_told_apart(story: Story) -> None:
    [run_id] = story.runs["every_kind_of_task"]
    told = {
        (task_id, index): story.of_task("every_kind_of_task", run_id, task_id, index)
        for task_id, index in story.states["every_kind_of_task", run_id]
    }
    ran = ["started", "succeeded"]
    assert told == {
        ("prepare", -1): ran,
        **{("fold", index): ran for index in range(3)},
        ("choose", -1): ran,
        ("good_enough", -1): [],
        ("try_again", -1): [],
        ("settle", -1): ["started", "deferred", "resumed", "succeeded"],
        ("wait_for_quiet", -1): ["started", "rescheduled", "poked", "succeeded"],
        ("flaky", -1): ["started", "retry_scheduled", *ran],
        ("optional", -1): ["started", "skipped"],
        ("doomed", -1): ["started", "failed"],
        ("after_doomed", -1): [],
        ("handle", -1): ran,
        ("done", -1): [],
        ("clean_up", -1): ran,
    }


def test_a_retry_is_recorded_as_two_tries_of_one_task(story: Story) -> None:
    [run_id] = story.runs["every_kind_of_task"]
    wanted = f"every_kind_of_task/{run_id}/flaky/-1"
    tries = [payload_of(event) for event in story.events if event.subject.id == wanted]
    assert [each["try_number"] for each in tries] == [1, 1, 2, 2]
    assert len({each["ti_id"] for each in tries}) == 2
    assert tries[1]["error_class"].endswith("ConnectionError")


def test_a_zombie_is_seen_by_the_scheduler_and_its_end_by_the_dag_run(story: Story) -> None:
    [run_id] = story.runs["killed"]
    assert story.states["killed", run_id] == {("hang", -1): ("success", 2)}
    wanted = f"killed/{run_id}/hang/-1"
    told = [event for event in story.events if event.subject.id == wanted]
    seen = [
        (event.type.partition(".")[2], payload_of(event)["observer"]["component"]) for event in told
    ]
    assert seen == [
        ("started", "task"),
        ("retry_scheduled", "scheduler"),
        ("started", "task"),
        ("succeeded", "task"),
    ]


def test_a_backfill_is_recorded_run_by_run_each_try_once(story: Story) -> None:
    assert len(story.runs["daily"]) == 2
    for run_id in story.runs["daily"]:
        assert story.of_task("daily", run_id, "work") == [
            *("started", "retry_scheduled"),
            *("started", "succeeded"),
        ]
        [end] = story.end_of("daily", run_id)
        assert payload_of(end)["dag_run"]["run_type"] == "backfill"


def test_nothing_is_recorded_twice(story: Story) -> None:
    def counted(event: Event) -> tuple[object, ...]:
        found = payload_of(event)
        return event.type, event.subject.id, found.get("ti_id"), found.get("reschedules")

    tasks = [event for event in story.events if event.type.startswith("task_instance.")]
    assert set(Counter(map(counted, tasks)).values()) == {1}
