"""`ChainOperator`: what operators that send to the chain have in common."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator

from airflow_chain.links import ChainLink
from airflow_chain.raising import AirflowException, AirflowFailException, raising_for_airflow

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_chain.hooks.chain import ChainHook
    from chain_client.client import ChainClient
    from chain_client.events import Actor
    from chain_client.governing.acts import Act
    from chain_client.governing.promoting import Patience
    from chain_client.registry.targets import Target

_LOOK_S = 0.2
_STORE_KEY = "mlops_chain"


class ChainOperator(BaseOperator):
    """Does something that stands on chain for ever, once.

    Guarantee: it may be tried again, cleared or run twice at once: what an earlier try did is
    found before anything is sent. Making one does no I/O.

    Args:
        model_name: ``fraud`` or ``workspace/fraud``.
        version: its number, or a text that is one once it is rendered.
        mlops_chain_conn_id: connection; default: ``[mlops_chain] default_conn_id``.
        timeout: how long is waited for chain, log and host, in seconds or as a timedelta.
        poll_interval: seconds between two looks.
        kwargs: of every operator.
    """

    template_fields: Sequence[str] = ("model_name", "version")
    operator_extra_links = (ChainLink(),)
    ui_color = "#e6f1f2"
    shows_by: ClassVar[str] = "history"
    """Command of ``mlops-chain model`` that shows what was done."""
    own_outputs: ClassVar[tuple[str, ...]] = ()
    """Members of the result that others take alone, as in ``propose.output["proposal_id"]``.

    Each is an XCom of its own, and costs a call of the API server.
    """

    def __init__(
        self,
        *,
        model_name: str = "",
        version: int | str | None = None,
        mlops_chain_conn_id: str | None = None,
        timeout: float | timedelta = 300.0,
        poll_interval: float = 2.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.version = version
        self.mlops_chain_conn_id = mlops_chain_conn_id
        self.timeout = timeout
        self.poll_interval = poll_interval
        self.chain_link = ""
        self._is_killed = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Do it; the result is small JSON for XCom."""
        from airflow_chain.hooks.chain import ChainHook

        hook = ChainHook(self.mlops_chain_conn_id)
        earlier = _recall(context)
        if earlier:
            self.log.info("mlops-chain: an earlier try of this task did: %s", earlier)
        try:
            with raising_for_airflow():
                done, act = self.act(hook, hook.get_conn(), context)
                self.chain_link = self._link(hook, act)
        finally:
            hook.close()
        result = {**done, **act.to_json()}
        _remember(context, result)
        if self.do_xcom_push and not self.multiple_outputs:  # else Airflow does it for all
            for name in self.own_outputs:
                context["ti"].xcom_push(name, result[name])
        self.tell(self.describe(result))
        if self.chain_link:
            self.tell(f"to see it: {self.chain_link}")
        return result

    @abstractmethod
    def act(
        self, hook: ChainHook, client: ChainClient, context: Context
    ) -> tuple[dict[str, Any], Act]:
        """Do it: the result, and the transaction that did it, now or before.

        Raises:
            ChainError: it could not be done.
        """

    def on_kill(self) -> None:
        """End the waiting; what was sent stays sent, and the next try finds it."""
        self._is_killed = True

    # --- what an operator says of itself

    def describe(self, result: dict[str, Any]) -> str:
        """What was done, in a line for people."""
        return ", ".join(f"{name} {value!r}" for name, value in result.items())

    def patience(self) -> Patience:
        """How long it waits, and that being killed ends it."""
        from chain_client.governing.promoting import Patience

        return Patience(self._timeout_s(), max(self.poll_interval, 0.01), self.wait)

    def wait(self, seconds: float) -> None:
        """Wait, unless the task is killed.

        Raises:
            AirflowException: it is.
        """
        end = time.monotonic() + seconds
        while not self._is_killed and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))
        if self._is_killed:
            raise AirflowException("the task was killed while it waited; what was sent stays sent")

    def tell(self, text: str) -> None:
        """Say in the task's log what is being done."""
        self.log.info("mlops-chain: %s", text)

    def _timeout_s(self) -> float:
        found = self.timeout
        return found.total_seconds() if isinstance(found, timedelta) else float(found)

    def _link(self, hook: ChainHook, act: Act) -> str:
        from chain_client.shown_text import quote_word

        found = hook.connection.link_of(act.tx_hash)
        if found is not None:
            return found
        home = quote_word(str(hook.settings.home))
        return f"mlops-chain --home {home} model {self.shows_by} {quote_word(self.model_name)}"


def to_target(alias: str | None, target: str | None) -> Target:
    """The target of an alias, or of a text such as ``@champion`` or ``stage:Production``.

    Raises:
        AirflowFailException: both are given, or neither.
        InvalidInput: it is no target.
    """
    from chain_client.registry.targets import Target

    if bool(alias) == bool(target):
        raise AirflowFailException(
            "give alias='champion', or target='stage:Production' (or '@champion'): one of both"
        )
    return Target.alias(alias.removeprefix("@")) if alias else Target.parse(target or "")


def to_name(value: str) -> str:
    """A model's name.

    Raises:
        AirflowFailException: it is empty.
    """
    if not value or not value.strip():
        raise AirflowFailException("model_name: expected a registered model's name, got nothing")
    return value


def actor_of(context: Context) -> Actor:
    """The task, as who claims to have asked."""
    from chain_client.events import Actor

    found: Any = context.get("ti")
    names = [getattr(found, name, None) for name in ("dag_id", "run_id", "task_id")]
    return Actor(claimed="airflow:" + "/".join(str(name) for name in names if name))


def _recall(context: Context) -> Any:
    """What an earlier try kept, from Airflow 3.3 on."""
    store: Any = context.get("task_state_store")
    try:
        return None if store is None else store.get(_STORE_KEY)
    except Exception:  # it only informs: chain and log say what was done
        return None


def _remember(context: Context, result: dict[str, Any]) -> None:
    store: Any = context.get("task_state_store")
    if store is not None:
        try:
            store.set(_STORE_KEY, result)
        except Exception:
            return
