"""Tasks that end in every way: by themselves, without a process, after a retry, by SIGKILL."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, setup, task, task_group, teardown

START = pendulum.datetime(2026, 1, 1)

with DAG("every_end", schedule=None, start_date=START):

    @task.branch
    def choose() -> str:
        return "left"

    @task
    def double(number: int) -> int:
        return number * 2

    @task(retries=1, retry_delay=timedelta(0))
    def at_the_second(ti: Any = None) -> None:
        if ti.try_number == 1:
            raise ValueError("the first try fails")

    @task
    def fails() -> None:
        raise ValueError("it always does")

    @task(trigger_rule="all_success")
    def never() -> None: ...

    @setup
    def prepare() -> None: ...

    @teardown
    def tidy() -> None: ...

    @task_group
    def inner() -> None:
        at_the_second()

    left, right = EmptyOperator(task_id="left"), EmptyOperator(task_id="right")
    choose() >> [left, right]
    double.expand(number=[1, 2])
    fails() >> never()
    inner()
    before = prepare()
    before >> tidy().as_teardown(setups=before)

with DAG("killed", schedule=None, start_date=START):

    @task
    def dies() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    dies()
