"""`ProposePromotionOperator`: people are asked whether a version may become current."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_chain.operators.acting import ChainOperator, actor_of, to_name, to_target
from airflow_chain.parameters import to_version

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_chain.hooks.chain import ChainHook
    from chain_client.client import ChainClient
    from chain_client.governing.acts import Act


class ProposePromotionOperator(ChainOperator):
    """Asks that a version becomes current for a target, signed with the requester's key.

    Every file of the version is read and its digest recorded, and the version is registered on
    chain, as far as that was not done. From then on nobody can change the files through a server.

    However often it is tried, one proposal comes of it while that is open, or is what made the
    version current; a rejected, withdrawn or expired one is proposed anew. An open proposal of
    somebody else, or with other evidence, fails the task.

    The result (XCom): ``proposal_id``, ``model_name``, ``version``, ``target``, ``digest``,
    ``requester``, ``deadline_s`` (seconds since the epoch), ``tx_hash``, ``block``.

    Args:
        model_name: ``fraud`` or ``workspace/fraud``; templated.
        version: its number; templated.
        alias: such as ``champion``; templated. Or
        target: such as ``@champion`` or ``stage:Production``; templated.
        evidence: what is brought along, each as ``kind:leaf`` or ``kind:0x<sha-256>``, such as
            ``evaluation:1234``; templated.
        open_for: until its deadline, in seconds or as a timedelta; default: as long as the policy
            allows.
        supersedes: id of a closed proposal that it takes up again; templated.
        mlops_chain_conn_id: connection, with the requester's key; default: ``[mlops_chain]
            default_conn_id``.
        timeout: how long the log is waited for, in seconds or as a timedelta.
        kwargs: of every operator.
    """

    template_fields: Sequence[str] = (
        *ChainOperator.template_fields,
        "alias",
        "target",
        "evidence",
        "supersedes",
    )
    shows_by = "show"
    own_outputs = ("proposal_id",)

    def __init__(
        self,
        *,
        alias: str = "",
        target: str = "",
        evidence: Sequence[str] = (),
        open_for: float | timedelta | None = None,
        supersedes: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alias = alias
        self.target = target
        self.evidence = evidence
        self.open_for = open_for
        self.supersedes = supersedes

    def act(
        self, hook: ChainHook, client: ChainClient, context: Context
    ) -> tuple[dict[str, Any], Act]:
        """See `ChainOperator.act`."""
        from chain_client.governing.proposing import Wish
        from chain_client.governing.proposing_once import propose_once
        from chain_client.registry.evidence import EvidenceItem
        from chain_client.types import to_hex

        open_for = self.open_for
        if isinstance(open_for, timedelta):
            open_for = open_for.total_seconds()
        wish = Wish(
            to_name(self.model_name),
            to_version(self.version),
            to_target(self.alias, self.target),
            tuple(EvidenceItem.parse(item) for item in self.evidence or ()),
            None if open_for is None else round(open_for),
            self.supersedes or None,
            hook.connection.tracking_uri,
        )
        done = propose_once(
            client,
            wish,
            hook.requester(),
            timeout_s=self.patience().timeout_s,
            tell=self.tell,
            actor=actor_of(context),
        )
        document = done.document
        result = {
            "proposal_id": to_hex(document.id),
            "model_name": self.model_name,
            "version": document.version,
            "target": str(document.names.target),
            "digest": to_hex(document.names.digest),
            "requester": to_hex(document.fields.requester),
            "deadline_s": document.fields.deadline_s,
        }
        return result, done.act

    def describe(self, result: dict[str, Any]) -> str:
        """See `ChainOperator.describe`; what is to be done next, and until when."""
        from chain_client.registry.durations import show_time

        short = result["proposal_id"].removeprefix("0x")[:12]
        return (
            f"version {result['version']} of {result['model_name']!r} stands proposed for "
            f"{result['target']} as {short} (transaction {result['tx_hash']}); next, until "
            f"{show_time(result['deadline_s'])}: mlops-chain model approve {short} --key …"
        )
