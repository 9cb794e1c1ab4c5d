"""Tags for runs that are started inside an Airflow task, or by a process that a task started.

MLflow loads this while it is imported itself, so it imports nothing of MLflow's; and it has no
effect outside of a task. What the tags are: `chain_client.running_in`.
"""

from __future__ import annotations

import os

from chain_client.running_in import from_environment


class AirflowRunContext:
    """MLflow's `RunContextProvider` (group ``mlflow.run_context_provider``), by its methods.

    Tags that the caller of ``start_run`` gives win over these.
    """

    def in_context(self) -> bool:
        """Whether this process belongs to a task."""
        return from_environment(os.environ) is not None

    def tags(self) -> dict[str, str]:
        """DAG, DAG run, task, try and map index, and the Airflow's name; as far as known."""
        found = from_environment(os.environ)
        return {} if found is None else found.to_tags()
