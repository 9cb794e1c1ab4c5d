"""Reading Airflow's metadata database, in a process of its own."""
