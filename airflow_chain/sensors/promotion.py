"""`PromotionApprovedSensor`: a DAG goes on when enough people approved."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.configuration import conf
from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.bases.xcom import BaseXCom

from airflow_chain.hooks.chain import ChainHook
from airflow_chain.parameters import to_version
from airflow_chain.raising import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
    to_airflow,
)
from airflow_chain.triggers.approval import (
    WAITING,
    PromotionApprovalTrigger,
    Wanted,
    look_once,
    tell,
)
from airflow_chain.triggers.patience import Outage, bounded
from chain_client.errors import ChainError, Unavailable

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.bases.skipmixin import SkipMixin
else:
    try:
        from airflow.sdk.bases.skipmixin import SkipMixin
    except ImportError:  # Airflow 3.1
        from airflow.providers.standard.utils.skipmixin import SkipMixin

_OPEN_POLL_S = 10.0
_ID = "(?:0x)?[0-9A-Fa-f]{8,64}"


class PromotionApprovedSensor(BaseSensorOperator, SkipMixin):
    """Waits until a proposal is approved: its quorum and its policy's delay are reached.

    It is the proposal that `PromoteModelOperator` would use: by its id, or the latest for a version
    of the model that has the name now. One that was promoted meanwhile, as a relay does by itself,
    is approved as well, as long as its version is current. Nothing counts as approved whose text in
    the log is not what was signed. What can never be approved any more (rejected, withdrawn,
    expired, its version revoked or replaced, its policy changed, its model deleted) ends the wait:
    the task is skipped, and with it what depends on it, or it fails (``fail_on_reject``).

    While chain or log do not answer, it waits on. The result (XCom) names proposal, model, version,
    target, block, verdict and cause.

    Args:
        proposal_id: that `ProposePromotionOperator` gave (its whole result, too). It stands for
            the following three, or has to fit them, else the task fails. Or
        model_name: ``fraud`` or ``workspace/fraud``, with
        version: its number, and
        target: such as ``@champion`` or ``stage:Production``.
        mlops_chain_conn_id: connection; default: ``[mlops_chain] default_conn_id``.
        confirmations: blocks that have to be on top of the one that says so; None: it is final.
        fail_on_reject: what can't be approved any more fails the task, without a retry.
        ignore_downstream_trigger_rules: else it skips everything downstream whatever its trigger
            rule, but teardowns; the sensor itself then succeeds, as `ApprovalOperator` does.
        response_timeout: the same as ``timeout``, by the name of Airflow's human-in-the-loop
            operators.
        deferrable: wait in the triggerer; the default is Airflow's own setting.
        kwargs: of every sensor, such as ``poke_interval`` (here 10 s), ``timeout``, ``mode`` and
            ``soft_fail``.
    """

    template_fields: Sequence[str] = ("proposal_id", "model_name", "version", "target")
    ui_color = "#e6f1f2"
    inherits_from_skipmixin = True

    def __init__(
        self,
        *,
        proposal_id: Any = None,
        model_name: str = "",
        version: int | str | None = None,
        target: str = "",
        mlops_chain_conn_id: str | None = None,
        confirmations: int | None = None,
        fail_on_reject: bool = False,
        ignore_downstream_trigger_rules: bool = False,
        response_timeout: timedelta | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poke_interval", _OPEN_POLL_S)
        if response_timeout is not None:
            kwargs["timeout"] = response_timeout
        super().__init__(**kwargs)
        if confirmations is not None and confirmations < 0:
            raise ValueError(f"expected confirmations of 0 or more, got {confirmations}")
        self.proposal_id = proposal_id
        self.model_name = model_name
        self.version = version
        self.target = target
        self.mlops_chain_conn_id = mlops_chain_conn_id
        self.confirmations = confirmations
        self.fail_on_reject = fail_on_reject
        self.ignore_downstream_trigger_rules = ignore_downstream_trigger_rules
        self.deferrable = deferrable
        self._told: Outage | None = None

    def poke(self, context: Context) -> PokeReturnValue:
        """Look once; a chain that does not answer is no answer yet."""
        try:
            found = look_once(ChainHook(self.mlops_chain_conn_id), self._wanted())
        except Unavailable as exc:
            self._outage().began(exc)
            return PokeReturnValue(is_done=False)
        except ChainError as exc:
            raise to_airflow(exc) from None
        self._outage().ended()
        if found["verdict"] == WAITING:
            self.log.info("mlops-chain: %s", tell(found))
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=found)

    def execute(self, context: Context) -> dict[str, Any]:
        """Wait here, or in the triggerer."""
        if self.deferrable:
            found = self.poke(context).xcom_value
            if found is None:
                self.defer(
                    trigger=PromotionApprovalTrigger.of(
                        self.mlops_chain_conn_id, self._wanted(), self.poke_interval
                    ),
                    method_name="execute_complete",
                    timeout=timedelta(seconds=self.timeout),
                )
        else:
            found = super().execute(context)
        return self._end(context, found)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Go on with what the trigger saw."""
        return self._end(context, event)

    def _outage(self) -> Outage:
        # Made at the first look: a logger can't be copied with the operator, as Airflow does.
        if self._told is None:
            self._told = Outage(self.log, "look for the approval")
        return self._told

    def _end(self, context: Context, found: dict[str, Any]) -> dict[str, Any]:
        verdict, told = found["verdict"], bounded(found["text"])
        if verdict == "approved":
            self.log.info("mlops-chain: approved: %s", told)
            return found
        if verdict == "error":
            raise AirflowFailException(told)
        if verdict != "closed":
            raise AirflowException(f"no approval was seen: {told}")
        told = f"not approved ({found['cause']}): {told}"
        if self.fail_on_reject:
            raise AirflowFailException(told)
        if not self.ignore_downstream_trigger_rules:
            raise AirflowSkipException(told)
        self.log.info("mlops-chain: %s; everything downstream is skipped", told)
        tasks = context["task"].get_flat_relatives(upstream=False)
        # Skipping ends the task here, before Airflow would take the result.
        context["ti"].xcom_push(key=BaseXCom.XCOM_RETURN_KEY, value=found)
        self.skip(ti=context["ti"], tasks=[task for task in tasks if not task.is_teardown])
        return found

    def _wanted(self) -> Wanted:
        given = self.proposal_id
        if isinstance(given, Mapping):
            given = given.get("proposal_id") or "nothing"
        # What is empty was not given, or rendered from nothing.
        proposal_id = str(given or "").strip()
        if proposal_id and not re.fullmatch(_ID, proposal_id):
            raise AirflowFailException(
                f"proposal_id: expected 8 to 64 hex digits, got {proposal_id[:80]!r}; where it "
                "comes from XCom, see what that task returned"
            )
        if not proposal_id and not (self.model_name and self.version and self.target):
            raise AirflowFailException(
                "name the proposal by proposal_id, or by model_name, version and target"
            )
        return Wanted(
            proposal_id=proposal_id,
            model_name=self.model_name or "",
            version=0 if self.version in (None, "") else to_version(self.version),
            target=self.target or "",
            confirmations=self.confirmations,
        )
