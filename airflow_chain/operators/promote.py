"""`PromoteModelOperator`: an approved version becomes current, on chain and in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_chain.operators.acting import ChainOperator, to_name, to_target
from airflow_chain.parameters import to_version

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_chain.hooks.chain import ChainHook
    from chain_client.client import ChainClient
    from chain_client.governing.acts import Act
    from chain_client.registry.proposals import ProposalDocument


class PromoteModelOperator(ChainOperator):
    """Makes an approved version current on chain, and sees that MLflow's alias or stage follows.

    At the moment of sending it looks again: the proposal is not closed, the version is not
    revoked, every file is what was approved, the approvals suffice. The policy's delay is waited
    for; approvals are not (`PromotionApprovedSensor` waits for them): without them the task fails.
    Somebody else, such as a relay, may have promoted it meanwhile: then nothing is sent.

    Afterwards MLflow is looked at until the alias or stage is at the version; where no relay
    moves it, this task does, through the gate.

    The result (XCom): ``proposal_id``, ``model_name``, ``version``, ``target``, ``digest``,
    ``sequence``, ``tx_hash``, ``block``.

    Args:
        model_name: ``fraud`` or ``workspace/fraud``; templated.
        version: its number; templated.
        alias: such as ``champion``; templated. Or
        target: such as ``@champion`` or ``stage:Production``; templated.
        proposal_id: that `ProposePromotionOperator` gave (its whole result, too); templated. It
            stands for the others, or has to fit them; default: the latest proposal of the version
            for the target.
        wait_for_alias: whether MLflow is looked at afterwards.
        mlops_chain_conn_id: connection; default: ``[mlops_chain] default_conn_id``.
        timeout: how long the policy's delay, and then MLflow, is waited for, in seconds or as a
            timedelta.
        poll_interval: seconds between two looks.
        kwargs: of every operator.
    """

    template_fields: Sequence[str] = (
        *ChainOperator.template_fields,
        "alias",
        "target",
        "proposal_id",
    )
    shows_by = "show"

    def __init__(
        self,
        *,
        alias: str = "",
        target: str = "",
        proposal_id: Any = None,
        wait_for_alias: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alias = alias
        self.target = target
        self.proposal_id = proposal_id
        self.wait_for_alias = wait_for_alias

    def act(
        self, hook: ChainHook, client: ChainClient, context: Context
    ) -> tuple[dict[str, Any], Act]:
        """See `ChainOperator.act`."""
        from chain_client.governing.promoting import promote_once, wait_until_moved
        from chain_client.registry.proposals import show_model
        from chain_client.types import to_hex

        uri = hook.connection.tracking_uri
        document = self._find(client, uri)
        model_name = show_model(document.names.model)
        act = promote_once(client, document, self.patience(), tracking_uri=uri, tell=self.tell)
        if self.wait_for_alias:
            wait_until_moved(client, document, self.patience(), tracking_uri=uri, tell=self.tell)
        self.model_name = self.model_name or model_name
        result = {
            "proposal_id": to_hex(document.id),
            "model_name": model_name,
            "version": document.version,
            "target": str(document.names.target),
            "digest": to_hex(document.names.digest),
            "sequence": act.event.args["sequence"],
        }
        return result, act

    def _find(self, client: ChainClient, tracking_uri: str | None) -> ProposalDocument:
        from chain_client.governing.promoting import find_proposal

        given = self.proposal_id
        if isinstance(given, Mapping):
            given = given.get("proposal_id")
        has_target = bool(self.alias or self.target)
        if given:
            return find_proposal(
                client,
                name=self.model_name or None,
                version=None if self.version is None else to_version(self.version),
                target=to_target(self.alias, self.target) if has_target else None,
                proposal_id=str(given),
            )
        return find_proposal(
            client,
            name=to_name(self.model_name),
            version=to_version(self.version),
            target=to_target(self.alias, self.target),
            tracking_uri=tracking_uri,
        )
