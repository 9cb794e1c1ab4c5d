"""Run as a program: people mark task instances and DAG runs in Airflow's API server.

Usage: ``python marking_runner.py RESULT_FILE``, in an ``AIRFLOW_HOME`` with the DAG ``shop``. The
server's application is called in this process, request by request, as uvicorn calls it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.airflow_runner import load_dags


def main(result: str) -> None:
    """Ask for each mark, and write what was answered."""
    run_ids = _make_runs()
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from starlette.testclient import TestClient

    from airflow_chain import acting_user

    client = TestClient(create_app(apps="core"), base_url="http://testserver")
    tokens = {
        name: get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role=role))
        for name, role in (("olga", "admin"), ("ada", "admin"), ("viewer", "viewer"))
    }
    answers = []

    def ask(path: str, body: dict[str, Any], *, token: str = "", cookie: str = "") -> None:
        client.cookies.clear()
        if cookie:
            client.cookies.set("_token", cookie)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = client.patch(f"/api/v2/dags/shop/dagRuns/{path}", json=body, headers=headers)
        answers.append(answer.status_code)

    def task(run_id: str, task_id: str) -> str:
        return f"{run_id}/taskInstances/{task_id}"

    first, second, third, fourth = run_ids
    with client:
        ask(task(first, "one"), {"new_state": "success"}, token=tokens["olga"])
        ask(task(first, "two"), {"new_state": "failed"}, cookie=tokens["ada"])
        ask(
            task(first, "two"), {"new_state": "success"}, token=tokens["olga"], cookie=tokens["ada"]
        )
        ask(first, {"state": "failed"}, token=tokens["ada"])
        ask(second, {"state": "success"}, cookie=tokens["olga"])
        # Nobody may: then nothing is marked, and nothing is recorded.
        ask(task(third, "one"), {"new_state": "success"})
        ask(task(third, "one"), {"new_state": "success"}, token=tokens["viewer"])
        ask(task(third, "one"), {"new_state": "success"}, token="x.y.z")

        async def hang(scope: Any) -> None:
            await asyncio.Event().wait()

        with patch.object(acting_user, "_resolve", side_effect=RuntimeError("no database")):
            ask(task(third, "one"), {"new_state": "success"}, token=tokens["olga"])
        with (
            patch.object(acting_user, "_resolve", hang),
            patch.object(acting_user, "PATIENCE_S", 0.1),
        ):
            ask(task(third, "two"), {"new_state": "success"}, token=tokens["olga"])
        with patch("airflow_chain.recording.note", side_effect=SystemExit(1)):
            ask(task(fourth, "one"), {"new_state": "success"}, token=tokens["olga"])
            ask(fourth, {"state": "success"}, token=tokens["olga"])
    Path(result).write_text(json.dumps({"runs": run_ids, "answers": answers}))


def _make_runs() -> list[str]:
    """DAG runs of which nothing has run yet."""
    from airflow.models.dagbag import DBDagBag
    from airflow.sdk import timezone
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    load_dags()
    found = []
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag("shop", session=session)
        assert dag is not None
        for number in range(4):
            now = timezone.utcnow()
            run = dag.create_dagrun(
                run_id=f"run_{number}",
                logical_date=now,
                data_interval=(now, now),
                run_after=now,
                run_type=DagRunType.MANUAL,
                triggered_by=DagRunTriggeredByType.TEST,
                state=DagRunState.RUNNING,
                session=session,
            )
            found.append(run.run_id)
    return found


if __name__ == "__main__":
    main(sys.argv[1])
