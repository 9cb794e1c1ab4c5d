"""`VerifyModelOperator`, `VerifyRunOperator`: what is there is what was recorded and approved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_chain.parameters import to_version
from airflow_chain.raising import AirflowException, AirflowFailException, raising_for_airflow
from airflow_chain.triggers.patience import bounded

if TYPE_CHECKING:
    from airflow.sdk import Context

    from chain_client.verify.report import Report

_SHOWN = 20


class VerifyRunOperator(BaseOperator):
    """Verifies a run: chain, log and the host's entities say the same, and every file is as logged.

    A difference fails the task without a retry, and the exception names each finding; a run of
    which nothing was recorded differs. The result (XCom) is a short report; see `to_result`.

    Args:
        run_id: of the MLflow run.
        mlops_chain_conn_id: connection; default: ``[mlops_chain] default_conn_id``.
        fail_on_unchecked: whether the task fails, too, where something could not be checked; else
            the report names it.
        kwargs: of every operator.
    """

    template_fields: Sequence[str] = ("run_id",)
    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        run_id: str,
        mlops_chain_conn_id: str | None = None,
        fail_on_unchecked: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.run_id = run_id
        self.mlops_chain_conn_id = mlops_chain_conn_id
        self.fail_on_unchecked = fail_on_unchecked

    def execute(self, context: Context) -> dict[str, Any]:
        """Verify, and fail where it does not hold."""
        from airflow_chain.hooks.chain import ChainHook
        from chain_client.governing.verifying import verify_run

        hook = ChainHook(self.mlops_chain_conn_id)
        try:
            with raising_for_airflow():
                report = verify_run(hook.get_conn(), self.run_id)
        finally:
            hook.close()
        result = decide({"run_id": self.run_id}, to_result(report), self.fail_on_unchecked)
        self.log.info("mlops-chain: %s", tell(f"run {self.run_id}", report))
        return result


class VerifyModelOperator(BaseOperator):
    """Verifies a model's version: its bytes are those that were registered, and approved.

    Every file is read and compared with the digest on chain; besides, everything that was recorded
    of the model is compared with what its registry shows now. A difference fails the task without
    a retry, and the exception names each finding.

    The result (XCom) is a short report; see `to_result`.

    Args:
        model_name: ``fraud`` or ``workspace/fraud``.
        version: its number; or
        target: such as ``@champion`` or ``stage:Production``: the version that is current there
            on chain, which was therefore approved.
        alias: the same as ``target="@<alias>"``.
        mlops_chain_conn_id: connection; default: ``[mlops_chain] default_conn_id``.
        fail_on_unchecked: whether the task fails, too, where something could not be checked; else
            the report names it.
        kwargs: of every operator.
    """

    template_fields: Sequence[str] = ("model_name", "version", "target", "alias")
    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        model_name: str,
        version: int | str | None = None,
        target: str = "",
        alias: str = "",
        mlops_chain_conn_id: str | None = None,
        fail_on_unchecked: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.version = version
        self.target = target
        self.alias = alias
        self.mlops_chain_conn_id = mlops_chain_conn_id
        self.fail_on_unchecked = fail_on_unchecked

    def execute(self, context: Context) -> dict[str, Any]:
        """Verify, and fail where it does not hold."""
        from airflow_chain.hooks.chain import ChainHook
        from chain_client.governing.verifying import verify_version

        target = f"@{self.alias}" if self.alias else self.target
        if bool(self.version) == bool(target):
            raise AirflowFailException("give the version, or the target (alias) that it is at")
        version = to_version(self.version) if self.version else None
        hook = ChainHook(self.mlops_chain_conn_id)
        try:
            with raising_for_airflow():
                checked = verify_version(
                    hook.get_conn(),
                    self.model_name,
                    version=version,
                    target=target or None,
                    tracking_uri=hook.connection.tracking_uri,
                )
        finally:
            hook.close()
        what = {"model_name": self.model_name, **checked.to_json()}
        result = decide(what, to_result(checked.report), self.fail_on_unchecked)
        shown = f"version {what['version']} of {self.model_name!r}"
        self.log.info("mlops-chain: %s", tell(shown, checked.report))
        return result


def to_result(report: Report) -> dict[str, Any]:
    """A report as small JSON: ``verdict``, numbers, and the first findings.

    ``verdict`` is ``holds``, ``differs`` or ``not_checked``; ``findings`` and ``unchecked`` hold
    at most 20 each, ``findings_count`` and ``unchecked_count`` say how many there were.
    """
    unchecked = [check for check in report.checks if not check.ok and not check.carried_out]
    failed = [check for check in report.checks if not check.ok and check.carried_out]
    return {
        "verdict": report.verdict.name.lower(),
        "findings_count": len(report.findings),
        "findings": [
            {"kind": one.kind, "subject": bounded(one.subject), "detail": bounded(one.detail)}
            for one in report.findings[:_SHOWN]
        ],
        "failed_checks": [{"name": c.name, "detail": bounded(c.detail)} for c in failed[:_SHOWN]],
        "unchecked_count": len(unchecked),
        "unchecked": [{"name": c.name, "detail": bounded(c.detail)} for c in unchecked[:_SHOWN]],
    }


def tell(what: str, report: Report) -> str:
    """What was compared, in a line. Pure."""
    is_whole = all(check.ok for check in report.checks)
    verdict = "holds" if is_whole else "holds as far as it could be checked"
    details = "; ".join(f"{check.name}: {check.detail}" for check in report.checks)
    return bounded(f"{what} {verdict}: {details}")


def decide(what: dict[str, Any], result: dict[str, Any], fail_on_unchecked: bool) -> dict[str, Any]:
    """The whole result, or what Airflow is told of it. Pure.

    Raises:
        AirflowFailException: something differs; the text names it.
        AirflowException: something could not be checked, and that matters; a retry may.
    """
    shown = ", ".join(f"{key} {value}" for key, value in what.items() if value is not None)
    if result["verdict"] == "differs":
        named = [f"{one['kind']} {one['subject']}: {one['detail']}" for one in result["findings"]]
        named += [f"{one['name']}: {one['detail']}" for one in result["failed_checks"]]
        raise AirflowFailException(bounded(f"{shown} is not what was recorded: {'; '.join(named)}"))
    if result["verdict"] == "not_checked" and fail_on_unchecked:
        named = [f"{one['name']}: {one['detail']}" for one in result["unchecked"]]
        raise AirflowException(bounded(f"{shown} could not be verified: {'; '.join(named)}"))
    return {**what, **result}
