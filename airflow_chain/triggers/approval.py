"""Waits for the approval of a proposal, for the sensor: the look itself, and its trigger."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_chain.triggers.aside import Aside
from airflow_chain.triggers.connecting import Connecting
from airflow_chain.triggers.patience import LOOK_S, Outage, Patience, bounded
from chain_client.errors import ChainError, Unavailable

if TYPE_CHECKING:
    from airflow_chain.hooks.chain import ChainHook
    from chain_client.client import ChainClient

WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which approval is waited for: that of a proposal, or of the one for a version and a target.

    Args:
        proposal_id: hex, or as much of it as names one; the others then have to fit it, or be
            empty. Empty: the others name it.
        model_name: ``fraud`` or ``workspace/fraud``.
        version: of the model.
        target: such as ``alias:champion``, ``@champion`` or ``stage:Production``.
        confirmations: blocks that have to be on top of the one that is looked at; None: it has
            to be final.
    """

    proposal_id: str = ""
    model_name: str = ""
    version: int = 0
    target: str = ""
    confirmations: int | None = None

    def look(self, client: ChainClient, tracking_uri: str | None = None) -> dict[str, Any]:
        """How the proposal stands that a promotion would use, as `Approval.to_json`; blocks.

        Args:
            client: of the home.
            tracking_uri: the database of models; default: all that record into the home.

        Raises:
            ChainError: it can't be told; `Unavailable` if it can later.
        """
        from chain_client.governing.choosing import Meant, read_meant
        from chain_client.registry.targets import Target

        meant = Meant(
            self.model_name or None,
            self.version or None,
            Target.parse(self.target) if self.target else None,
            self.proposal_id,
        )
        at = self._block(client)
        return read_meant(client, meant, at, tracking_uri=tracking_uri).to_json()

    def _block(self, client: ChainClient) -> Any:
        if self.confirmations is None:
            return "finalized"
        # An embedded chain's blocks are final, and it makes none while only time passes.
        if not self.confirmations or client.deployment.ledger_url.startswith("embedded:"):
            return "latest"
        number = client.registry.block_number() - self.confirmations
        return max(number, client.deployment.registry_block or 0)


def look_once(hook: ChainHook, wanted: Wanted) -> dict[str, Any]:
    """The same through a hook, which is closed again."""
    try:
        return wanted.look(hook.get_conn(), hook.connection.tracking_uri)
    finally:
        hook.close()


def tell(found: dict[str, Any]) -> str:
    """What is waited for, and what people can do about it, in a line. Pure.

    Args:
        found: as `Wanted.look` gave it.
    """
    if "proposal_id" not in found:
        return f"waiting for a proposal: {bounded(found['text'])}"
    short = found["proposal_id"].removeprefix("0x")[:12]
    told = (
        f"waiting for the approval of proposal {short} (version {found['version']} of "
        f"{found['model_name']!r} for {found['target']}): {bounded(found['text'])}"
    )
    if found["cause"] == "QuorumMissing":
        told += f"; whoever may: mlops-chain model approve {short} --key …"
    return told


class PromotionApprovalTrigger(BaseTrigger):
    """Fires once: when a proposal is approved, when it never will be, or when time is up.

    Nothing is kept between two looks, so that another triggerer goes on where this one stopped. A
    chain that does not answer is waited for, with longer and longer pauses, until time is up.

    Args:
        mlops_chain_conn_id: connection; what is secret stays there.
        wanted: members of `Wanted`.
        poll_interval: seconds between two looks.
        ends_at: seconds since the epoch; None: it waits for as long as Airflow lets it.
    """

    def __init__(
        self,
        *,
        mlops_chain_conn_id: str | None,
        wanted: dict[str, Any],
        poll_interval: float,
        ends_at: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.mlops_chain_conn_id = mlops_chain_conn_id
        self.wanted = wanted
        self.poll_interval = poll_interval
        self.ends_at = ends_at

    @classmethod
    def of(
        cls, conn_id: str | None, wanted: Wanted, poll_interval: float
    ) -> PromotionApprovalTrigger:
        """A trigger that waits for this."""
        return cls(mlops_chain_conn_id=conn_id, wanted=asdict(wanted), poll_interval=poll_interval)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """What another triggerer makes the same of."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "mlops_chain_conn_id": self.mlops_chain_conn_id,
                "wanted": self.wanted,
                "poll_interval": self.poll_interval,
                "ends_at": self.ends_at,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until there is something to say."""
        wanted, aside = Wanted(**self.wanted), Aside("mlops-chain-approval")
        connecting = Connecting(self.mlops_chain_conn_id)
        outage = Outage(self.log, "look for the approval")
        patience, before = Patience(self.poll_interval), ""
        while True:
            try:
                hook = await connecting.hook()
                found = await aside.run(partial(look_once, hook, wanted), LOOK_S)
            except Unavailable as exc:
                outage.began(exc)
                patience.failed()
                connecting.failed()
            except ChainError as exc:
                yield TriggerEvent({"verdict": "error", "text": bounded(str(exc))})
                return
            else:
                patience.answered()
                outage.ended()
                if found["verdict"] != WAITING:
                    yield TriggerEvent(found)
                    return
                if found["text"] != before:
                    before = found["text"]
                    self.log.info("mlops-chain: %s", tell(found))
            if self.ends_at is not None and time.time() >= self.ends_at:
                yield TriggerEvent({"verdict": "timeout", "text": before or patience.told})
                return
            await patience.pause()
