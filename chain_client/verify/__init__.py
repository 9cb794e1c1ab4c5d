"""Verification of a home: chain, log, sources and the hosts' entities."""

from chain_client.verify.evidence import Evidence
from chain_client.verify.report import Check, Report, Verdict
from chain_client.verify.spooled import Spooled, read_spooled
from chain_client.verify.verifier import verify

__all__ = ["Check", "Evidence", "Report", "Spooled", "Verdict", "read_spooled", "verify"]
