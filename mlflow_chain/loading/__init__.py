"""Verified use: loading a model only if its bytes are those that the chain approves."""
