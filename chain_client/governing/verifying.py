"""Whether a version is what was registered and approved, and a model or run what was recorded."""

from __future__ import annotations

from dataclasses import dataclass

from chain_client.client import ChainClient
from chain_client.errors import InvalidInput, Unavailable
from chain_client.events import Json, Subject
from chain_client.governing.attesting import read_files
from chain_client.governing.databases import model_databases
from chain_client.governing.models import FoundModel, find_model
from chain_client.hosts import Finding, Scope, StoreBinding
from chain_client.registry.targets import Target
from chain_client.types import Digest, to_hex
from chain_client.verify import read_spooled
from chain_client.verify.report import Check, Report

CHECK = "version"
"""Name of the check that `verify_version` puts before the others."""


@dataclass(frozen=True, slots=True)
class VerifiedVersion:
    """What was found.

    Args:
        version: that was looked at; None if nothing is current for the target.
        target: at which it is current; None if it was named itself.
        digest: model digest of its files as they are now; None if they could not be read.
        report: its own check first, then those of `ChainClient.verify`.
    """

    version: int | None
    target: str | None
    digest: Digest | None
    report: Report

    def to_json(self) -> dict[str, Json]:
        """What was looked at, by name."""
        digest = None if self.digest is None else to_hex(self.digest)
        return {"version": self.version, "target": self.target, "digest": digest}


def verify_version(
    client: ChainClient,
    name: str,
    *,
    version: int | None = None,
    target: str | None = None,
    tracking_uri: str | None = None,
) -> VerifiedVersion:
    """Read every file of a version and compare its digest with the chain; then verify its model.

    Nothing is written. What differs is in the report, and so is what could not be checked.

    Args:
        client: of the home.
        name: ``fraud`` or ``workspace/fraud``.
        version: its number; or
        target: the version that is current there on chain, finally.
        tracking_uri: database of the model; default: all that record into the home.

    Raises:
        UnknownName: there is no such model, or there are several.
        Unavailable: chain, log or database do not answer.
        ConfigurationError: the home has no registry.
    """
    found = find_model(client, name, tracking_uri)
    reader = client.registry
    model = reader.model_id(found.model)
    wanted = None if target is None else Target.parse(target)
    if wanted is not None:
        current = reader.contract.current(model, reader.target_id(wanted), "finalized")
        version = current.version or None
    digest, check, finding = _check(client, found, model, version, wanted)
    report = client.verify(
        Scope(model=found.model.name), bindings=governed_bindings(client), everything=False
    )
    report.checks.insert(0, check)
    if finding is not None:
        report.findings.insert(0, finding)
    return VerifiedVersion(version, None if wanted is None else str(wanted), digest, report)


def verify_run(client: ChainClient, run_id: str) -> Report:
    """Verify a run; one of which nothing was ever recorded differs.

    Args:
        client: of the home.
        run_id: of the run.

    Raises:
        Unavailable: chain, log or database do not answer.
    """
    bindings = governed_bindings(client)
    report = client.verify(Scope(run_id=run_id), bindings=bindings, everything=False)
    if _is_recorded(client, bindings, run_id):
        check = Check("run", True, "the log or a spool holds events of the run")
    else:
        told = "nothing was recorded of the run in the databases that record into this home"
        check, finding = _differs("run_not_recorded", f"run {run_id}", None, told, "run")
        report.findings.insert(0, finding)
    report.checks.insert(0, check)
    return report


def _is_recorded(client: ChainClient, bindings: list[StoreBinding], run_id: str) -> bool:
    subjects = {Subject(binding.store_id, "run", run_id) for binding in bindings}
    # The spool first: what leaves it meanwhile is in the log then.
    spooled = read_spooled(client.folder.spool, client.log, client.deployment_id)
    if any(event.subject in subjects for event in spooled.events.values()):
        return True
    return any(client.log.subject_indexes(subject.to_key()) for subject in subjects)


def governed_bindings(client: ChainClient) -> list[StoreBinding]:
    """The databases of a home whose adapter knows runs and models."""
    return [binding for binding, _ in model_databases(client)]


def _check(
    client: ChainClient,
    found: FoundModel,
    model: Digest,
    version: int | None,
    target: Target | None,
) -> tuple[Digest | None, Check, Finding | None]:
    if version is None:
        subject = f"model {found.model.name}/{target}"
        told = "nothing is current there on chain"
        return None, *_differs("target_not_current", subject, None, told)
    subject = f"model version {found.model.name}/{version}"
    record = client.registry.contract.version(model, version)
    if record is None:
        told = "the version is not registered on chain: nobody can have approved it"
        return None, *_differs("version_not_registered", subject, None, told)
    if record.is_revoked:
        return None, *_differs("version_revoked", subject, None, "the version was revoked on chain")
    try:
        files = read_files(client, found, version)
    except InvalidInput as exc:
        return None, *_differs("version_files_changed", subject, None, str(exc))
    except Unavailable as exc:
        return None, Check(CHECK, False, f"its files can't be read: {exc}", False), None
    if client.registry.commitment(model, version, files.digest) != record.digest:
        told = "its files are not those whose digest was registered on chain"
        changed = _differs("version_files_changed", subject, to_hex(files.digest), told)
        return files.digest, *changed
    detail = f"the {len(files.manifest)} files of version {version} are those registered on chain"
    return files.digest, Check(CHECK, True, detail), None


def _differs(
    kind: str, subject: str, actual: Json, told: str, check: str = CHECK
) -> tuple[Check, Finding]:
    return Check(check, False, f"1 finding; {told}"), Finding(kind, subject, None, actual, told)
