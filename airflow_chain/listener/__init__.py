"""What Airflow calls: its objects come in, and events go to `recording`."""
