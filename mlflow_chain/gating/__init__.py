"""The gate in MLflow: every door of the model registry asks it before the write.

Doors are read here, locked and refused here; what the chain says is decided in `chain_client.gate`.
"""
