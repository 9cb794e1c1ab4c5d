"""Airflow's hook of connections of type ``mlops_chain``."""
