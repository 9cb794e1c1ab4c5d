"""Files that the bench puts into an Airflow: DAGs, and a plugin that does nothing."""

from __future__ import annotations

FIVE = """
from airflow.sdk import DAG, chain, task

with DAG("five", schedule=None) as five:
    @task
    def work(number: int) -> int:
        return number

    chain(*(work.override(task_id=f"work_{number}")(number) for number in range(5)))
"""

WIDE = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG("wide_{size}", schedule=None) as wide_{size}:
    for number in range({size}):
        EmptyOperator(task_id=f"work_{{number}}")
"""

PLAIN = """
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, chain

with DAG("promote", schedule=None):
    chain(*(EmptyOperator(task_id=f"step_{number}") for number in range(5)))
"""

OURS = """
from airflow.sdk import DAG, chain

from airflow_chain.operators.promote import PromoteModelOperator
from airflow_chain.operators.propose import ProposePromotionOperator
from airflow_chain.operators.register import RegisterModelVersionOperator
from airflow_chain.operators.verify import VerifyModelOperator
from airflow_chain.sensors.promotion import PromotionApprovedSensor

with DAG("promote", schedule=None):
    version = {"model_name": "fraud", "version": "1"}
    proposed = {**version, "alias": "champion"}
    chain(
        VerifyModelOperator(task_id="verify", **version),
        RegisterModelVersionOperator(task_id="register", **version),
        ProposePromotionOperator(task_id="propose", **proposed),
        PromotionApprovedSensor(task_id="wait", target="@champion", **version),
        PromoteModelOperator(task_id="promote", **proposed),
    )
"""

NOTHING_DONE = """
from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin


class Nothing:
    @hookimpl
    def on_task_instance_running(self, previous_state, task_instance):
        pass

    @hookimpl
    def on_task_instance_success(self, previous_state, task_instance):
        pass

    @hookimpl
    def on_task_instance_failed(self, previous_state, task_instance, error):
        pass

    @hookimpl
    def on_dag_run_running(self, dag_run, msg):
        pass

    @hookimpl
    def on_dag_run_success(self, dag_run, msg):
        pass


class NothingPlugin(AirflowPlugin):
    name = "nothing"
    listeners = [Nothing()]
"""
