"""Checks that teams ask for before a model version may be proposed for promotion."""
