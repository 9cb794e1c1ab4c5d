"""What the report of a proposal's checks says, where proposals are listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chain_client.errors import PromotionDenied
from chain_client.registry.checking import CheckedReader
from chain_client.registry.proposals import ProposalDocument
from chain_client.types import to_hex


def find_obstacle(registry: CheckedReader, document: ProposalDocument) -> str | None:
    """Why approvers should not sign, as far as checks are concerned; None: nothing is wrong."""
    try:
        registry.check_report(document)
    except PromotionDenied as exc:
        return str(exc)
    return None


def checks_json(document: ProposalDocument, obstacle: str | None = None) -> dict[str, Any] | None:
    """The report in short; None where there is none, and none is needed."""
    report = document.names.checks
    if report is None:
        return None if obstacle is None else {"report": None, "obstacle": obstacle}
    return {
        "report": to_hex(report.digest),
        "configuration": to_hex(report.configuration),
        "passed": [result.describe() for result in report.results],
        "warnings": [
            {"check": name, "text": finding.text, "values": dict(finding.values)}
            for name, finding in report.warnings()
        ],
        "obstacle": obstacle,
    }


def checks_rows(found: Mapping[str, Any] | None, indent: str = "") -> Iterator[tuple[str, str]]:
    """The same for people, as rows: what passed, every warning, and what is wrong."""
    if not found:
        return
    if found["report"] is not None:
        configuration = found["configuration"][:14]
        text = f"passed: {', '.join(found['passed'])}; configuration {configuration}…"
        yield f"{indent}[dim]checks[/]", text
        for warning in found["warnings"]:
            yield f"{indent}[yellow]warning[/]", f"{warning['check']}: {warning['text']}"
    if found["obstacle"] is not None:
        yield f"{indent}[red]checks[/]", found["obstacle"]
