"""What MLflow's events tie together, for `mlops-chain lineage`; nothing here asks MLflow."""
