"""`RevokeModelOperator`: a version can't be promoted any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_chain.operators.acting import ChainOperator, to_name
from airflow_chain.parameters import to_version
from airflow_chain.raising import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_chain.hooks.chain import ChainHook
    from chain_client.client import ChainClient
    from chain_client.governing.acts import Act


class RevokeModelOperator(ChainOperator):
    """Bars a version from promotion for ever, with the breaker's key; verified load refuses it.

    Where it is current it stays so: the result names these targets, and approvers go back by
    ``mlops-chain model rollback`` or ``remove``. A version that is revoked already stays as it is.

    The result (XCom): ``model_name``, ``version``, ``still_current``, ``tx_hash``, ``block``.

    Args:
        model_name: ``fraud`` or ``workspace/fraud``; templated.
        version: its number; templated.
        reason: why; templated. It is kept in the log for ever, and salted on chain.
        mlops_chain_conn_id: connection, with the breaker's key; default: ``[mlops_chain]
            default_conn_id``.
        kwargs: of every operator.
    """

    template_fields: Sequence[str] = (*ChainOperator.template_fields, "reason")

    def __init__(self, *, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason

    def act(
        self, hook: ChainHook, client: ChainClient, context: Context
    ) -> tuple[dict[str, Any], Act]:
        """See `ChainOperator.act`."""
        from chain_client.governing.revoking import revoke

        if not self.reason or not self.reason.strip():
            raise AirflowFailException("reason: expected why the version is revoked, got nothing")
        name, version = to_name(self.model_name), to_version(self.version)
        done = revoke(client, name, version, self.reason, hook.breaker())
        result = {
            "model_name": self.model_name,
            "version": done.version,
            "still_current": list(done.still_current),
        }
        for target in done.still_current:
            self.log.warning(
                "mlops-chain: version %d is still current for %s: go back with `mlops-chain model "
                "rollback`",
                done.version,
                target,
            )
        return result, done.act
