"""The Airflow provider: operators that gate a model, a listener that records DAG runs and tasks.

Nothing is imported here: Airflow loads parts of this package in every one of its processes.
"""
