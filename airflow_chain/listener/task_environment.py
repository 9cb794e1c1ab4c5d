"""What a task's process tells whatever runs in it, or is started by it, of the task."""

from __future__ import annotations

import os

from airflow_chain import config
from airflow_chain.mapping.tasks import TaskFacts
from chain_client.running_in import RunningIn, to_environment


def export(facts: TaskFacts) -> None:
    """Add what Airflow does not export itself; MLflow's runs are tagged with it.

    Raises:
        ConfigurationError: the name of this Airflow is none.
    """
    key = facts.key
    running_in = RunningIn(
        key.dag_id, key.run_id, key.task_id, facts.try_number, key.map_index, config.name()
    )
    os.environ.update(to_environment(running_in))
