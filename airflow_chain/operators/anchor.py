"""`AnchorOperator`: a DAG goes on when what was recorded so far is anchored."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.sdk import BaseOperator

from airflow_chain.hooks.chain import ChainHook
from airflow_chain.raising import AirflowException, AirflowFailException, to_airflow
from airflow_chain.triggers.anchoring import (
    AnchorTrigger,
    AnchorWait,
    look_once,
    make_mark,
    to_result,
)
from airflow_chain.triggers.patience import bounded
from chain_client.errors import ChainError, Unavailable

if TYPE_CHECKING:
    from airflow.sdk import Context

_UNTIL = ("included", "finalized")


class AnchorOperator(BaseOperator):
    """Waits until everything that was recorded before it is anchored on chain.

    What counts is what stood in the home's spools and log when the task began; calls that were
    still under way then are counted in the result (``in_flight``) and not waited for. The chain
    itself is asked. The operator anchors nothing: a relay does, and without one the task fails
    after a minute with what to do.

    The result (XCom) has ``size`` (entries that had to be covered), ``anchored_size``, ``block``,
    ``until`` and ``in_flight``.

    Args:
        until: ``finalized``, or ``included`` in a block.
        mlops_chain_conn_id: connection; default: ``[mlops_chain] default_conn_id``.
        timeout: seconds, or a timedelta, after which the task fails; retries begin anew.
        poll_interval: seconds between two looks.
        deferrable: wait in the triggerer; the default is Airflow's own setting.
        kwargs: of every operator.
    """

    template_fields: Sequence[str] = ("until",)
    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        until: str = "finalized",
        mlops_chain_conn_id: str | None = None,
        timeout: float | timedelta = 3600.0,
        poll_interval: float = 5.0,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.until = until
        self.mlops_chain_conn_id = mlops_chain_conn_id
        self.timeout = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        self.poll_interval = poll_interval
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """Mark what was recorded, and wait."""
        if self.until not in _UNTIL:
            raise AirflowFailException(f"until: expected included or finalized, got {self.until!r}")
        ends_at = time.time() + self.timeout
        try:
            marked = make_mark(ChainHook(self.mlops_chain_conn_id))
        except ChainError as exc:
            raise to_airflow(exc) from None
        wait, told = AnchorWait(ends_at), ""
        while True:
            try:
                found = look_once(ChainHook(self.mlops_chain_conn_id), marked, self.until)
            except Unavailable as exc:
                told = f"chain or log did not answer: {exc}"
                verdict = "timeout" if time.time() >= ends_at else "waiting"
            except ChainError as exc:
                raise to_airflow(exc) from None
            else:
                marked = found.mark
                verdict, told = wait.judge(found, time.time())
                if verdict == "anchored":
                    return to_result(found, self.until)
            if verdict != "waiting":
                raise _not_anchored(verdict, told)
            self.log.info("mlops-chain: waiting until it is %s: %s", self.until, told)
            if self.deferrable:
                self.defer(
                    trigger=AnchorTrigger(
                        mlops_chain_conn_id=self.mlops_chain_conn_id,
                        mark=marked.to_json(),
                        until=self.until,
                        poll_interval=self.poll_interval,
                        ends_at=ends_at,
                    ),
                    method_name="execute_complete",
                )
            time.sleep(self.poll_interval)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on with what the trigger saw."""
        if event["verdict"] == "anchored":
            return event
        if event["verdict"] == "error":
            raise AirflowFailException(event["text"])
        raise _not_anchored(event["verdict"], event["text"])


def _not_anchored(verdict: str, told: str) -> AirflowException:
    reason = "not anchored in time" if verdict == "timeout" else "not anchored"
    return AirflowException(bounded(f"{reason}: {told}"))
