"""Task instances, as Airflow's hooks give them, as events. Pure."""
