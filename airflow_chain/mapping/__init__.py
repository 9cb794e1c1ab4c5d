"""From what Airflow's objects say to what is recorded of it."""

from airflow_chain.mapping.mapped import Mapped

__all__ = ["Mapped"]
