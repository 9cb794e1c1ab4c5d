"""The Airflow provider. It comes with a later issue; nothing works here yet."""
