"""The link of a task to what it did on chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


class ChainLink(BaseOperatorLink):
    """Leads to the transaction in a block explorer, if the connection names one.

    Without an explorer it leads nowhere, and its address ends with the command that shows what the
    task did, after ``#``: a browser would look for any other text as a page of Airflow's. It is
    made in the task's own process, which tells it to Airflow by XCom.
    """

    name = "On chain"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """What the operator left when it had done its work; empty if it did not come so far."""
        link = str(getattr(operator, "chain_link", "") or "")
        return link if not link or link.startswith(("https://", "http://")) else f"#{link}"
