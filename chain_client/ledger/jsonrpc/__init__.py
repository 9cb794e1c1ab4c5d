"""Ledgers behind one or more JSON-RPC endpoints."""
