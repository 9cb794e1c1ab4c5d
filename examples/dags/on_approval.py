"""What is done as soon as a promotion has been approved: a DAG that the chain starts.

    the chain says `approved` ─ the asset has an event ─ approvals ─ announce (one for each)

The triggerer looks at the chain through the connection `mlops_chain_default`, and only at blocks
that are final. Events that come close together start one DAG run, so it goes through all of them.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, AssetWatcher, dag, task

from airflow_chain.promotion_events import promotion_events
from airflow_chain.triggers.promotion_event import PromotionEventTrigger

approved = PromotionEventTrigger(events=["approved"], poll_interval=5)
APPROVALS = Asset(
    "mlops-chain-approvals", watchers=[AssetWatcher(name="approvals", trigger=approved)]
)


@dag(schedule=[APPROVALS], catchup=False, tags=["mlops-chain", "example"], doc_md=__doc__)
def on_approval() -> None:
    @task(inlets=[APPROVALS])
    def approvals(**context: Any) -> list[dict[str, Any]]:
        """What was approved: all events that started this DAG run, each decision once."""
        return promotion_events(context)

    @task
    def announce(approval: dict[str, Any]) -> str:
        """Tell people; here they read it in the task's log and in its XCom."""
        told = "{model_name} version {version} may become {target}: block {block}".format(
            **approval
        )
        print(told)
        return told

    announce.expand(approval=approvals())


on_approval()
