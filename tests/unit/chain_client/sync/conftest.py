"""Homes whose registry is governed."""

from tests.unit.chain_client.registry.conftest import _closed, _governed_home, office

__all__ = ["_closed", "_governed_home", "office"]
