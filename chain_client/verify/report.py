"""What a verification says: numbered checks, and what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from chain_client.events import Json
from chain_client.hosts import Finding
from chain_client.verify.explanations import Explained


class Verdict(IntEnum):
    """Also the exit code of ``mlops-chain verify``."""

    HOLDS = 0
    DIFFERS = 1
    NOT_CHECKED = 2


@dataclass(frozen=True, slots=True)
class Check:
    """One numbered step.

    Args:
        name: stable name.
        ok: whether it was carried out and found nothing.
        detail: one sentence with the figures.
        carried_out: False if something outside kept it from being carried out.
    """

    name: str
    ok: bool
    detail: str
    carried_out: bool = True


@dataclass(slots=True)
class Report:
    """The result of a verification."""

    checks: list[Check] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    explained: list[Explained] = field(default_factory=list)
    """What differs, and was explained: it fails nothing."""
    explainable: list[tuple[str, Finding]] = field(default_factory=list)
    """Those of the findings that a person can explain, with the database's store id."""
    log_is_whole: bool = True
    """Whether chains, heads, leaves and tree were found as they were anchored."""
    compared: int = 0
    """How many databases were compared with their events."""

    @property
    def verdict(self) -> Verdict:
        """DIFFERS outranks NOT_CHECKED: what was seen to differ stays so."""
        if self.findings or any(not c.ok and c.carried_out for c in self.checks):
            return Verdict.DIFFERS
        if any(not c.ok for c in self.checks):
            return Verdict.NOT_CHECKED
        return Verdict.HOLDS

    def conclude(self, name: str, findings: Sequence[Finding], detail: str) -> None:
        """Add a check that was carried out, with what it found."""
        self.findings.extend(findings)
        if findings:
            count = "1 finding" if len(findings) == 1 else f"{len(findings)} findings"
            detail = f"{count}; {detail}"
        self.checks.append(Check(name, not findings, detail))

    def to_json(self) -> dict[str, Json]:
        """``{"ok", "checks": […], "findings": […], "explained": […]}``."""
        return {
            "ok": self.verdict is Verdict.HOLDS,
            "checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in self.checks],
            "findings": [
                {
                    "kind": f.kind,
                    "subject": f.subject,
                    "expected": f.expected,
                    "actual": f.actual,
                    "detail": f.detail,
                }
                for f in self.findings
            ],
            "explained": [explained.to_json() for explained in self.explained],
        }
