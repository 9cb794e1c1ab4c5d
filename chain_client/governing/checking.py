"""Running a team's own checks of a promotion, each in a thread of its own and within its time.

Whatever keeps a check from answering blocks, as if it had found the worst: a plugin that is
missing, broken or doubled, one that raises, answers something else or takes too long.
"""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from chain_client.checks import MAX_TEXT, CheckFinding, PromotionContext, Requester, freeze
from chain_client.client import ChainClient
from chain_client.errors import ConfigurationError, InvalidInput, PromotionDenied
from chain_client.events import Actor
from chain_client.governing.attesting import Tell
from chain_client.governing.logged import wait_until_logged
from chain_client.governing.models import FoundModel
from chain_client.hosts import AttestedFiles, NamesRuns
from chain_client.plugin_host import HookCall, get_plugin_host
from chain_client.registry import documents
from chain_client.registry.check_configuration import AppliedChecks, ConfiguredCheck
from chain_client.registry.check_reports import (
    MAX_FINDINGS,
    CheckReport,
    CheckResult,
    to_plain,
)
from chain_client.registry.targets import Target
from chain_client.registry.users import to_names
from chain_client.types import Address, Digest

HOOK = "check_promotion"


@dataclass(frozen=True, slots=True)
class Checked:
    """What is checked.

    Args:
        found: the model, and the database that it is in.
        version: its number.
        target: for which it is proposed.
        files: of the version, as they were just read.
        requester: who asks; None where checks are only tried.
        evidence: that the requester brings.
    """

    found: FoundModel
    version: int
    target: Target
    files: AttestedFiles
    requester: Address | None = None
    evidence: tuple[str, ...] = ()


def run_checks(
    client: ChainClient, applied: AppliedChecks, checked: Checked, tell: Tell
) -> tuple[CheckResult, ...]:
    """What every check finds; those that can't be carried out find that, and block.

    Args:
        client: of the home.
        applied: which checks, as an admin applied them.
        checked: what is proposed.
        tell: says what is being done.

    Raises:
        Unavailable: chain, log or host do not answer before a check is begun.
    """
    context = _context(client, checked)
    results = []
    for check in applied.checks:
        tell(f"check {check.name}, by the plugin {check.plugin}")
        told = replace(context, check=check.name, configuration=freeze(check.configuration))
        result = run_check(check, told, client.settings.checks_timeout_s)
        for finding in result.warnings:
            tell(f"check {check.name} warns: {finding.text}")
        results.append(result)
    return tuple(results)


def require_checks(
    client: ChainClient,
    applied: AppliedChecks,
    checked: Checked,
    policy_hash: Digest,
    nonce: Digest,
    timeout_s: float,
    tell: Tell,
    *,
    actor: Actor | None = None,
) -> CheckReport:
    """The report of checks that passed, as it stands in the log.

    Args:
        client: of the home.
        applied: which checks, as an admin applied them.
        checked: what is proposed, with who asks.
        policy_hash: of the policy in force.
        nonce: that the proposal is going to have.
        timeout_s: how long another relay is waited for.
        tell: says what is being done.
        actor: who asks, for the log.

    Raises:
        PromotionDenied: a check blocks, or can't be carried out; the report that says so is noted.
        LogUnavailable: the report did not come into the log in time.
    """
    assert checked.requester is not None
    model, registry = checked.found.model, client.registry
    results = run_checks(client, applied, checked, tell)
    report = CheckReport(
        deployment=client.deployment.deployment_id,
        model=registry.model_id(model),
        target=registry.target_id(checked.target),
        version=checked.version,
        files=checked.files.digest,
        requester=checked.requester,
        policy_hash=policy_hash,
        nonce=nonce,
        configuration=applied.hash,
        time_us=time.time_ns() // 1000,
        results=results,
    )
    documents.note_report(client.recorder, model.store_id, report, actor or Actor())
    if not report.passed:
        raise PromotionDenied(say_blocked(results, checked.version, checked.target))
    tell("waiting until the report of the checks stands in the log")
    wait_until_logged(
        client,
        lambda: documents.find_report(client.log, model.store_id, report.digest),
        timeout_s=timeout_s,
    )
    return report


def say_blocked(results: tuple[CheckResult, ...], version: int, target: Target) -> str:
    """Why a promotion may not be proposed, for people."""
    why = "; ".join(
        f"{result.name}: {finding.text}" for result in results for finding in result.blocking
    )
    return f"version {version} may not be proposed for {target}: {why}"


def run_check(check: ConfiguredCheck, context: PromotionContext, timeout_s: float) -> CheckResult:
    """What one check finds; nothing it does keeps this from returning in time.

    Args:
        check: as it was applied.
        context: what it is told.
        timeout_s: how long it may take, the loading of its plugin included.
    """
    run = _Run(check.plugin, context)
    thread = threading.Thread(target=run, name=f"check {check.name}", daemon=True)
    thread.start()
    thread.join(timeout_s)
    call, findings = run.call, run.findings
    if findings is None:
        findings = (_block(f"took longer than {timeout_s:g} s (checks.timeout_s)"),)
    return CheckResult(
        name=check.name,
        plugin=check.plugin,
        distribution="" if call is None else call.plugin.distribution,
        version="" if call is None else call.plugin.version,
        configuration=check.hash,
        findings=findings,
    )


class _Run:
    """One check, from the loading of its plugin to its last finding.

    Args:
        plugin: its name.
        context: what it is told.
    """

    def __init__(self, plugin: str, context: PromotionContext) -> None:
        self._plugin = plugin
        self._context = context
        self.call: HookCall | None = None
        self.findings: tuple[CheckFinding, ...] | None = None

    def __call__(self) -> None:
        try:
            self.call = get_plugin_host().hook_of(self._plugin, HOOK)
        except ConfigurationError as exc:
            self.findings = (_block(str(exc)),)
            return
        try:
            self.findings = _collect(self.call(context=self._context))
        except _WrongAnswer as exc:
            self.findings = (_block(str(exc)),)
        except BaseException as exc:  # whatever a plugin raises, and SystemExit too
            # Its text may hold a password or token: the class and place must do.
            self.findings = (_block(f"raised {type(exc).__name__}{_place(exc)}"),)


class _WrongAnswer(Exception):
    """A plugin's answer is none; the text is our own."""


def _collect(answer: object) -> tuple[CheckFinding, ...]:
    """The findings in a plugin's answer, copied.

    Raises:
        _WrongAnswer: it is something else.
        BaseException: whatever a generator raises.
    """
    if isinstance(answer, str | bytes | dict) or not hasattr(answer, "__iter__"):
        raise _WrongAnswer(f"answered {type(answer).__name__}, no findings")
    found: list[CheckFinding] = []
    for finding in answer:
        if type(finding) is not CheckFinding:
            raise _WrongAnswer(f"gave {type(finding).__name__} as a finding")
        if len(found) == MAX_FINDINGS:
            raise _WrongAnswer(f"gave more than {MAX_FINDINGS} findings")
        try:
            found.append(CheckFinding(finding.level, finding.text, to_plain(finding.values)))
        except InvalidInput as exc:
            raise _WrongAnswer(f"gave a finding that can't be kept: {exc}") from None
    return tuple(found)


def _block(why: str) -> CheckFinding:
    return CheckFinding("block", f"it could not be carried out: {why}"[:MAX_TEXT])


def _place(exc: BaseException) -> str:
    frames = traceback.extract_tb(exc.__traceback__)
    return f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""


def _context(client: ChainClient, checked: Checked) -> PromotionContext:
    """What every check is told, but for its name and configuration."""
    registry, found = client.registry, checked.found
    current = registry.contract.current(
        registry.model_id(found.model), registry.target_id(checked.target)
    )
    requester = None
    if checked.requester is not None:
        name = to_names(registry.users()).get(checked.requester, "")
        requester = Requester(checked.requester, name)
    model, host = found.model, found.host
    run_id = None
    if isinstance(host, NamesRuns):
        run_id = host.find_run(found.binding, model.name, checked.version, model.workspace)
    return PromotionContext(
        check="",
        configuration=freeze({}),
        model=model.name,
        workspace=model.workspace,
        version=checked.version,
        target=str(checked.target),
        digest=checked.files.digest,
        location=checked.files.location,
        run_id=run_id,
        tracking_uri=found.binding.uri,
        current=current.version or None,
        requester=requester,
        evidence=checked.evidence,
    )
