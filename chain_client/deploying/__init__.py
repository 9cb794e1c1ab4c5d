"""Bringing the contracts to a network: what it will cost, who pays, and doing it once."""
