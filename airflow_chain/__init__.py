"""The Airflow provider: operators that gate a model's way to production, and a listener that records.

Nothing is imported here: Airflow loads parts of this package in every one of its processes.
"""
