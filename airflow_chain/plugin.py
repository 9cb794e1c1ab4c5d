"""The plugin ``mlops_chain``: what Airflow loads in each of its processes.

Without a home in the configuration it registers nothing and imports nothing more.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin


class MlopsChainPlugin(AirflowPlugin):
    """Registers the listener, and what finds out who marks a state in the API server."""

    name = "mlops_chain"

    @classmethod
    def on_load(cls, *args: Any, **kwargs: Any) -> None:
        """Register what is configured; called once in a process, or twice, by Airflow."""
        from airflow_chain.guard import Guard

        with Guard("the listener"):
            from airflow_chain import config

            if not config.is_listening():
                return
            from airflow_chain.listener import hooks

            cls.listeners = [hooks]
            cls.fastapi_root_middlewares = [
                {"name": "mlops-chain: acting user", "middleware": acting_user_middleware}
            ]


def acting_user_middleware(app: Any) -> Any:
    """Made by the API server when it starts; other processes never import what it needs."""
    from airflow_chain.acting_user import ActingUserMiddleware
    from airflow_chain.guard import Guard

    with Guard("the API server's start"):
        from airflow_chain.recording import prepare

        prepare()
    return ActingUserMiddleware(app)
