"""Recorded stores: what is recorded of a call, and how its instance is made to record."""
