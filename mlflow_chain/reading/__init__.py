"""Reading MLflow's entities, through its own API, as plain values."""
