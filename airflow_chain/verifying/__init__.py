"""Comparing what was recorded of Airflow with what its metadata database says. Pure."""
