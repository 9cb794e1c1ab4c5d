"""What the checks of a promotion found: the report that a proposal binds as its evidence.

A report is about one proposal: it names the model, version, files, target, policy and requester,
and the proposal's own random number, so none counts for another. It is an event of the log, and
stands in the proposal's document too, so that whoever signs can compare it without the log. What
it says is said by the requester, who signs its digest with the proposal. Signatures here are
stable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from chain_client.canonical import encode
from chain_client.checks import CheckFinding, Level
from chain_client.errors import ChainError, InvalidInput, SummaryMismatch
from chain_client.events import Json
from chain_client.ledger.model_registry_values import ProposalFields
from chain_client.registry.evidence import CHECKS, EvidenceItem
from chain_client.registry.members import Members
from chain_client.types import Address, Digest, to_hex

FORMAT = "mlops-chain checks 1"
CHECKS_REPORTED = "checks.reported"

MAX_CHECKS = 16
MAX_FINDINGS = 32
MAX_VALUES_BYTES = 4096
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found.

    Args:
        name: of the check in the policy file.
        plugin: that carried it out.
        distribution: that the plugin came from; empty if there was none to be used.
        version: of the distribution; likewise.
        configuration: hash of what was applied for it (`ConfiguredCheck.hash`).
        findings: in the order in which the plugin gave them.
    """

    name: str
    plugin: str
    distribution: str
    version: str
    configuration: Digest
    findings: tuple[CheckFinding, ...] = ()

    @property
    def blocking(self) -> tuple[CheckFinding, ...]:
        """What may not be proposed because of them."""
        return tuple(one for one in self.findings if one.level == "block")

    @property
    def warnings(self) -> tuple[CheckFinding, ...]:
        """What approvers read before they sign."""
        return tuple(one for one in self.findings if one.level == "warn")

    def describe(self) -> str:
        """The check and who carried it out, for people."""
        if not self.distribution:
            return f"{self.name} (plugin {self.plugin})"
        return f"{self.name} (plugin {self.plugin} of {self.distribution} {self.version})"

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "name": self.name,
            "plugin": self.plugin,
            "distribution": self.distribution,
            "version": self.version,
            "configuration": to_hex(self.configuration),
            "findings": [
                {"level": one.level, "text": one.text, "values": dict(one.values)}
                for one in self.findings
            ],
        }


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What all checks of a proposal found.

    Args:
        deployment: id of the deployment.
        model: as it stands on chain.
        target: likewise.
        version: its number.
        files: model digest of the version's files.
        requester: who asks.
        policy_hash: the policy in force, which demands checks.
        nonce: of the proposal, which no other one has.
        configuration: hash of everything that was applied for the place (`hash_checks`).
        time_us: when they were carried out, by the requester's clock.
        results: of each check, by name.
    """

    deployment: str
    model: Digest
    target: Digest
    version: int
    files: Digest
    requester: Address
    policy_hash: Digest
    nonce: Digest
    configuration: Digest
    time_us: int
    results: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing blocks."""
        return not any(result.blocking for result in self.results)

    @property
    def digest(self) -> Digest:
        """SHA-256 of its RFC 8785 bytes; names it as evidence."""
        return Digest(hashlib.sha256(encode(self.to_json())).digest())

    @property
    def evidence(self) -> EvidenceItem:
        """The evidence that a proposal binds."""
        return EvidenceItem(CHECKS, digest=self.digest)

    def warnings(self) -> Iterator[tuple[str, CheckFinding]]:
        """Every warning, with the name of its check."""
        for result in self.results:
            for finding in result.warnings:
                yield result.name, finding

    def to_json(self) -> dict[str, Json]:
        """The report as JSON; `from_json` gives an equal one back."""
        return {
            "format": FORMAT,
            "deployment": self.deployment,
            "model": to_hex(self.model),
            "target": to_hex(self.target),
            "version": self.version,
            "files": to_hex(self.files),
            "requester": to_hex(self.requester),
            "policyHash": to_hex(self.policy_hash),
            "nonce": to_hex(self.nonce),
            "configuration": to_hex(self.configuration),
            "timeUs": self.time_us,
            "passed": self.passed,
            "checks": [result.to_json() for result in self.results],
        }

    @classmethod
    def from_json(cls, data: object) -> CheckReport:
        """The inverse of `to_json`.

        Raises:
            InvalidInput: it is no such report, or says that it passed what blocks.
        """
        value = Members(data, "checks")
        if value.text("format") != FORMAT:
            raise InvalidInput(f"checks.format: expected {FORMAT!r}")
        results = value.raw("checks")
        if not isinstance(results, list | tuple) or not 0 < len(results) <= MAX_CHECKS:
            raise InvalidInput(f"checks.checks: expected a list of 1 to {MAX_CHECKS}")
        found = cls(
            deployment=value.text("deployment"),
            model=Digest(value.bytes("model", 32)),
            target=Digest(value.bytes("target", 32)),
            version=value.number("version", 64),
            files=Digest(value.bytes("files", 32)),
            requester=Address(value.bytes("requester", 20)),
            policy_hash=Digest(value.bytes("policyHash", 32)),
            nonce=Digest(value.bytes("nonce", 32)),
            configuration=Digest(value.bytes("configuration", 32)),
            time_us=value.number("timeUs", 53),
            results=tuple(_result(item, n) for n, item in enumerate(results)),
        )
        names = [result.name for result in found.results]
        if names != sorted(set(names)):
            raise InvalidInput("checks.checks: expected each check once, by name")
        if value.flag("passed") is not found.passed:
            raise InvalidInput("checks.passed: it is not what the findings say")
        return found


def check_bound(
    report: CheckReport | None,
    fields: ProposalFields,
    files: Digest,
    evidence: Sequence[EvidenceItem],
) -> None:
    """See that a proposal's report is the one that its evidence names, is about it, and passed.

    Args:
        report: that stands in the proposal's document; None if none does.
        fields: of the proposal.
        files: model digest that the document names.
        evidence: that the document lists.

    Raises:
        SummaryMismatch: it is not; nobody should sign the proposal.
    """
    named = [item for item in evidence if item.kind == CHECKS]
    if report is None and not named:
        return
    if report is None or named != [report.evidence]:
        raise SummaryMismatch(
            "the report of checks beside the proposal is not the one that it names as evidence"
        )
    about = (
        report.model,
        report.target,
        report.version,
        report.files,
        report.requester,
        report.policy_hash,
        report.nonce,
    )
    wanted = (
        fields.model,
        fields.target,
        fields.version,
        files,
        fields.requester,
        fields.policy_hash,
        fields.nonce,
    )
    if about != wanted:
        raise SummaryMismatch("the report of checks is about another proposal")
    if not report.passed:
        raise SummaryMismatch("the report of checks says that the promotion is blocked")


def to_plain(values: Mapping[str, object]) -> dict[str, Json]:
    """A copy of a finding's values, as JSON that has the same bytes everywhere.

    Numbers that JSON has not (NaN, infinities, ints of 2**53 or more) become text.

    Raises:
        InvalidInput: something that is no JSON, or more than `MAX_VALUES_BYTES`.
    """
    plain = {_key(key): _plain(value, 4) for key, value in values.items()}
    try:
        size = len(encode(plain))
    except ChainError as exc:
        raise InvalidInput(f"a finding's values: {exc}") from None
    if size > MAX_VALUES_BYTES:
        raise InvalidInput(f"a finding's values: expected at most {MAX_VALUES_BYTES} bytes")
    return plain


def _plain(value: object, levels: int) -> Json:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) < 1 << 53 else str(int(value))
    if isinstance(value, float):
        number = float(value)
        return number if number - number == 0 else str(number)
    if levels and isinstance(value, Mapping):
        return {_key(key): _plain(item, levels - 1) for key, item in value.items()}
    if levels and isinstance(value, list | tuple):
        return [_plain(item, levels - 1) for item in value]
    raise InvalidInput(f"a finding's values: expected JSON, got {type(value).__name__}")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise InvalidInput("a finding's values: expected names that are texts")
    return key


def _result(data: object, number: int) -> CheckResult:
    value = Members(data, f"checks.checks[{number}]")
    findings = value.raw("findings")
    if not isinstance(findings, list | tuple) or len(findings) > MAX_FINDINGS:
        raise InvalidInput(f"checks.checks[{number}].findings: expected a list")
    name, plugin = value.text("name"), value.text("plugin")
    distribution, version = value.text("distribution"), value.text("version")
    longest = max(map(len, (name, plugin, distribution, version)))
    if not name or not plugin or longest > _MAX_NAME:
        raise InvalidInput(f"checks.checks[{number}]: expected names of 1 to {_MAX_NAME} letters")
    return CheckResult(
        name,
        plugin,
        distribution,
        version,
        configuration=Digest(value.bytes("configuration", 32)),
        findings=tuple(_finding(item, f"checks.checks[{number}]") for item in findings),
    )


def _finding(data: object, path: str) -> CheckFinding:
    value = Members(data, f"{path}.findings")
    level, values = value.text("level"), value.raw("values")
    if not isinstance(values, dict):
        raise InvalidInput(f"{path}.findings.values: expected an object")
    return CheckFinding(cast(Level, level), value.text("text"), to_plain(values))
