"""`RegisterModelVersionOperator`: the digest of a version's files stands on chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_chain.operators.acting import ChainOperator, actor_of, to_name
from airflow_chain.parameters import to_version

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_chain.hooks.chain import ChainHook
    from chain_client.client import ChainClient
    from chain_client.governing.acts import Act


class RegisterModelVersionOperator(ChainOperator):
    """Reads every file of a version and registers its digest on chain, for ever.

    The home's registrar's key does it. A version is registered by being proposed, too; this does
    it before, so that nobody changes the files meanwhile. A version that is registered already is
    read again, and compared.

    The result (XCom): ``model_name``, ``version``, ``model_id``, ``digest``, ``leaf_index``,
    ``tx_hash``, ``block``.

    Args:
        model_name: ``fraud`` or ``workspace/fraud``; templated.
        version: its number; templated.
        mlops_chain_conn_id: connection; default: ``[mlops_chain] default_conn_id``.
        timeout: how long the log is waited for, in seconds or as a timedelta.
        kwargs: of every operator.
    """

    def act(
        self, hook: ChainHook, client: ChainClient, context: Context
    ) -> tuple[dict[str, Any], Act]:
        """See `ChainOperator.act`."""
        from chain_client.governing.registering import register
        from chain_client.types import to_hex

        done = register(
            client,
            to_name(self.model_name),
            to_version(self.version),
            tracking_uri=hook.connection.tracking_uri,
            timeout_s=self.patience().timeout_s,
            tell=self.tell,
            actor=actor_of(context),
        )
        result = {
            "model_name": self.model_name,
            "version": done.version,
            "model_id": to_hex(done.model_id),
            "digest": to_hex(done.digest),
            "leaf_index": done.leaf_index,
        }
        return result, done.act
