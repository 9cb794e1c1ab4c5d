"""`ChainHook`: from an Airflow connection to an open `ChainClient`."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_chain import config

if TYPE_CHECKING:
    from airflow_chain.connection import ChainConnection
    from chain_client.client import ChainClient
    from chain_client.config import Settings
    from chain_client.signing import Signer


class ChainHook(BaseHook):
    """Opens a deployment through an Airflow connection.

    Guarantee: making one does no I/O; the first use asks Airflow for the connection, which may
    come from a secrets backend. Whoever opened a client closes it by `close`.

    Args:
        mlops_chain_conn_id: the connection; default: ``[mlops_chain] default_conn_id``.
        kwargs: as every Airflow hook takes them.
    """

    conn_name_attr = "mlops_chain_conn_id"
    default_conn_name = config.DEFAULT_CONN_ID
    conn_type = "mlops_chain"
    hook_name = "MLOps chain"

    def __init__(self, mlops_chain_conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mlops_chain_conn_id = mlops_chain_conn_id
        self._client: ChainClient | None = None

    @cached_property
    def connection(self) -> ChainConnection:
        """What the connection says.

        Raises:
            AirflowNotFoundException: there is no such connection.
            ConfigurationError: it is wrong; the text says how, and shows nothing secret.
        """
        from airflow_chain.connection import read_connection

        conn_id = self.mlops_chain_conn_id or config.default_conn_id()
        return read_connection(conn_id, self.get_connection(conn_id), config.home())

    @cached_property
    def settings(self) -> Settings:
        """The home's settings, with what the connection says otherwise.

        Raises:
            ConfigurationError: a value is of the wrong kind.
        """
        return self.connection.to_settings()

    def get_conn(self) -> ChainClient:
        """The deployment, opened once; see `ChainClient.open` for what is checked.

        Raises:
            ChainError: it can't be opened; the text says why.
        """
        if self._client is None:
            from chain_client.client import ChainClient
            from chain_client.errors import HomeMissing

            try:
                self._client = ChainClient.open(self.settings)
            except HomeMissing as exc:
                raise HomeMissing(self.connection.tell_no_home()) from exc
            # Made here, so that nothing else of this process makes one that starts a relay.
            self._client.recorder  # noqa: B018
        return self._client

    def requester(self) -> Signer:
        """The key that asks for promotions; see `ChainConnection.open_requester`."""
        return self.connection.open_requester()

    def breaker(self) -> Signer:
        """The key that revokes versions; see `ChainConnection.open_breaker`."""
        return self.connection.open_breaker()

    def close(self) -> None:
        """Release log and chain, if they were opened."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def test_connection(self) -> tuple[bool, str]:
        """Whether chain, contracts, log and keys are there and belong together, in a sentence."""
        from airflow_chain.examining import examine
        from airflow_chain.raising import AirflowException
        from chain_client.errors import ChainError

        try:
            return True, examine(self.get_conn(), self.connection)
        except (ChainError, AirflowException) as exc:
            return False, f"{type(exc).__name__}: {exc}"
        except Exception as exc:  # a library's own text may show what is secret
            return False, f"unexpected {type(exc).__name__} while the connection was examined"
        finally:
            self.close()

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The fields of the form, for Airflow before 3.2; later ones read the provider's info."""
        from wtforms import PasswordField, StringField

        from airflow_chain.form import FIELDS

        return {
            name: (PasswordField if item.is_hidden else StringField)(
                label=item.label, description=item.help
            )
            for name, item in FIELDS.items()
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """What the form hides and relabels, likewise."""
        from airflow_chain.form import FORM

        return {
            "hidden_fields": list(FORM.hidden),
            "relabeling": dict(FORM.relabelled),
            "placeholders": dict(FORM.placeholders),
        }
