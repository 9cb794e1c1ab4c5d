"""Processes that recorded as a task and as what only the scheduler or the API server sees.

Each of Airflow's processes is one or the other. Whatever runs in a task may write into the spool
of its process; if it claims there that a person marked a task, it is seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from airflow_chain.verifying.names import name_task
from airflow_chain.verifying.records import Recorded
from chain_client.hosts import Finding

SOURCE_IN_TWO_ROLES = "source_in_two_roles"


def find_two_roles(recorded: Recorded) -> Iterator[Finding]:
    """Each source of a task's process that has events of another kind of process."""
    left = dict(recorded.components)
    for known in recorded.tries.values():
        for source in sorted(known.sources & left.keys()):
            when_us, claimed = left.pop(source)
            task = name_task(known.key, known.try_number)
            yield Finding(
                SOURCE_IN_TWO_ROLES,
                f"source {source.hex()}",
                {"task": task},
                {"claimed": claimed},
                f"the process that ran {task} recorded {claimed}, too, as only the scheduler or "
                "the API server does: something in that task wrote it",
                when_us,
            )
