"""What ships for tests of others: conformance suites and doubles of our interfaces.

Nothing that runs imports it. The suites need pytest, which is imported when one is asked for. What
a suite's fixture gives stands beside it, as `chain_client.testing.signer_suite.KeyUnderTest`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from chain_client.testing.ledger_suite import LedgerSuite
    from chain_client.testing.payload_store_suite import PayloadStoreSuite
    from chain_client.testing.receiver_suite import ReceiverSuite
    from chain_client.testing.shipper_suite import ShipperSuite
    from chain_client.testing.signer_suite import SignerSuite

__all__ = ["LedgerSuite", "PayloadStoreSuite", "ReceiverSuite", "ShipperSuite", "SignerSuite"]

_MODULES: Final = {
    "LedgerSuite": "ledger_suite",
    "PayloadStoreSuite": "payload_store_suite",
    "ReceiverSuite": "receiver_suite",
    "ShipperSuite": "shipper_suite",
    "SignerSuite": "signer_suite",
}


def __getattr__(name: str) -> Any:
    """A suite, from the module that holds it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
