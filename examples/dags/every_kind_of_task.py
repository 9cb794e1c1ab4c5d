"""Every kind of task that Airflow has, in one DAG: what a listener gets to see of each.

It compares a few settings of a classifier on scikit-learn's wine data. Nothing in it knows of
mlops-chain; with the listener configured, `mlops-chain airflow` and `mlops-chain verify` know of
each of its tasks how it ended, also of those for which no hook of Airflow's is ever called.

    prepare ─ fold ×3 ─ choose ┬ good_enough ┬ settle ─ wait_for_quiet ─ flaky ┬ … ─ clean_up
                               └ try_again   ┘                                 └ optional
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import Param, PokeReturnValue, TriggerRule, chain, dag, setup, task, teardown

FOLDS = 3


@dag(
    schedule=None,
    catchup=False,
    params={
        "least_accuracy": Param(0.8, type="number", minimum=0, maximum=1),
        "settle_s": Param(2, type="integer", minimum=0, description="for how long to defer"),
    },
    tags=["mlops-chain", "example"],
    doc_md=__doc__,
)
def every_kind_of_task() -> None:
    @setup
    @task
    def prepare() -> str:
        """A folder that is taken away again whatever happens between."""
        import numpy as np
        from sklearn.datasets import load_wine

        folder = tempfile.mkdtemp(prefix="wine-")
        data, target = load_wine(return_X_y=True)
        np.savez(Path(folder, "wine.npz"), data=data, target=target)
        return folder

    @task
    def fold(number: int, folder: str) -> float:
        """One part of the data as the test: a mapped task, three times in one DAG run."""
        import numpy as np
        from sklearn.tree import DecisionTreeClassifier

        with np.load(Path(folder, "wine.npz")) as wine:
            data, target = wine["data"], wine["target"]
        tested = np.arange(len(target)) % FOLDS == number
        model = DecisionTreeClassifier(random_state=7).fit(data[~tested], target[~tested])
        return float(model.score(data[tested], target[tested]))

    @task.branch
    def choose(accuracies: list[float], **context: Any) -> str:
        """One way is taken, the other one skipped by the branch: no hook tells of that."""
        mean = sum(accuracies) / FOLDS
        return "good_enough" if mean >= context["params"]["least_accuracy"] else "try_again"

    # The worker gives its place up and comes back: `running` twice in one try.
    settle = DateTimeSensorAsync(
        task_id="settle",
        target_time="{{ (dag_run.start_date + macros.timedelta(seconds=params.settle_s)) }}",
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )

    @task.sensor(mode="reschedule", poke_interval=8, timeout=600)
    def wait_for_quiet(folder: str) -> PokeReturnValue:
        """Looks, ends, and is started again to look: `running` for each look, in one try."""
        seen = Path(folder, "seen")
        looked_before = seen.exists()
        seen.touch()
        return PokeReturnValue(is_done=looked_before)

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def flaky(**context: Any) -> int:
        """Fails at first, and is up for retry: one task, two tries."""
        tried = int(context["ti"].try_number)
        if tried == 1:
            raise ConnectionError("the feature store does not answer")
        return tried

    @task
    def optional() -> None:
        """Skips itself."""
        raise AirflowSkipException("nobody asked for a report")

    @task
    def doomed() -> None:
        """Fails for good, without a retry; `handle` takes care of it."""
        raise AirflowFailException("the licence of the other library has run out")

    @task
    def after_doomed() -> None:
        """Is never started: Airflow sets it to upstream_failed, and no hook tells of that."""

    @task(trigger_rule=TriggerRule.ONE_FAILED)
    def handle() -> str:
        """What is done about the failure, so that the DAG run succeeds."""
        return "used our own library"

    @teardown
    @task
    def clean_up(folder: str) -> None:
        """Runs in any case, and takes away what `prepare` made."""
        import shutil

        shutil.rmtree(folder)

    folder = prepare()
    branch = choose(fold.partial(folder=folder).expand(number=list(range(FOLDS))))
    # An operator that does nothing never runs: the scheduler sets its state, and no hook tells.
    ways = [EmptyOperator(task_id="good_enough"), EmptyOperator(task_id="try_again")]
    failing = doomed()
    handled = handle()
    done = EmptyOperator(task_id="done", trigger_rule=TriggerRule.ALL_DONE)
    retried = flaky()
    chain(branch, ways, settle, wait_for_quiet(folder), retried, [optional(), failing])
    chain(failing, [handled, after_doomed()], done)
    chain(done, clean_up(folder))


every_kind_of_task()
