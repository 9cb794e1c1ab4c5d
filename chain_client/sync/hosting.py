"""One database of a host: what it has, and making it equal to the chain."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from chain_client.errors import ChainError, InvalidInput
from chain_client.events import Actor, Json, Subject
from chain_client.gate.question import Mode
from chain_client.hosts import Governs, ModelIncarnation, StoreBinding
from chain_client.log import Log
from chain_client.registry.documents import NameBook, Records, find_proposal
from chain_client.registry.identity import Salt, digest_commitment
from chain_client.registry.targets import STAGES, Target
from chain_client.sync.plan import Gap, HostState, Nameless, find_gaps, held_on_chain, shown
from chain_client.sync.report import SyncReport, TargetSet
from chain_client.sync.tags import find_lies, to_tags
from chain_client.sync.timeline import Change, TargetKey, Timeline
from chain_client.types import Address, Digest

_logger = logging.getLogger(__name__)

TARGET_MOVED = "target.moved"
"""Event: a target had been equal to the chain, and was moved past the gate; sync set it back."""
TARGET_SUBJECT = "target"
"""Kind of its subject; the id is the model's name and the target."""
ALARM_MOVED = "target_moved"
"""Kind of the alarm that says the same."""


def read_host(host: Governs, binding: StoreBinding, book: NameBook) -> HostState:
    """What a database holds; names that it shows are learnt.

    Raises:
        HostUnavailable: it does not answer now.
    """
    models = {book.add_model(model): model for model in host.models(binding)}
    state = HostState(models, tuple(host.targets(binding)))
    for held in state.targets:
        try:
            book.add_target(Target.parse(held.target))
        except InvalidInput:
            _logger.debug("%s is no name of a target", held.target)
    for stage in STAGES:
        book.add_target(Target.stage(stage))
    return state


def learn_targets(log: Log, timeline: Timeline, book: NameBook) -> None:
    """Learn the names of targets that only the documents of their proposals tell."""
    for (_, target), changes in timeline.changes.items():
        for change in changes:
            if Digest(target) in book.targets:
                break
            document = find_proposal(log, change.proposal) if any(change.proposal) else None
            if document is not None:
                book.add_target(document.names.target)


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass over the databases needs to know.

    Args:
        timeline: of the registry, at the block that the gate reads.
        salt: the deployment's.
        log: tells digests of versions.
        book: what ids stand for.
        people: what addresses are called.
        done: sequences at which targets were made equal before; what is made equal is added.
        untouched: targets that are left alone for now.
        mode: of the gate.
        home: home folder.
        records: gives the recorder of this process.
        raise_alarm: tells people.
        report: takes what was done.
        dry_run: change nothing.
    """

    timeline: Timeline
    salt: Salt
    log: Log
    book: NameBook
    people: Mapping[Address, str]
    done: dict[TargetKey, int]
    untouched: Collection[TargetKey]
    mode: Mode
    home: Path
    records: Callable[[], Records]
    raise_alarm: Callable[[str, str, str], None]
    report: SyncReport
    dry_run: bool


def make_equal(work: Pass, host: Governs, binding: StoreBinding) -> HostState:
    """Make every target and reserved tag of one database what the chain says.

    What fails is in the report, and stops nothing else.

    Raises:
        HostUnavailable: the database does not answer.
    """
    state = read_host(host, binding, work.book)
    learn_targets(work.log, work.timeline, work.book)
    failed: set[TargetKey] = set()
    for gap in find_gaps(work.timeline, state, work.book.targets):
        if isinstance(gap, Nameless):
            work.report.fail(shown(gap.model), gap.to_text())
            continue
        key = _key(work.book, gap)
        if key in work.untouched or not _fill(work, host, binding, gap, key):
            failed.add(key)
    _note_equal(work, state, failed)
    _set_tags(work, host, binding, state, failed)
    return state


def _fill(work: Pass, host: Governs, binding: StoreBinding, gap: Gap, key: TargetKey) -> bool:
    was_moved = work.done.get(key) == gap.change.sequence
    model = gap.model
    step = TargetSet(
        *(binding.store_id, shown(model), str(gap.target), gap.wanted, gap.found), was_moved
    )
    if was_moved and work.mode is not Mode.ENFORCE:
        work.report.left.append(step)
        return False
    if not work.dry_run:
        try:
            if was_moved:
                _note_moved(work, binding, gap)
            tags = {} if gap.wanted is None else _tags(work, model, gap.wanted)
            host.set_target(
                *(binding, model.name, model.workspace, str(gap.target), gap.wanted, tags),
                home=work.home,
            )
        except ChainError as exc:
            work.report.fail(f"{shown(model)} {gap.target}", exc)
            return False
        _logger.info("%s of model %s: %s", gap.target, shown(model), gap.to_text())
    work.report.set.append(step)
    return True


def _note_moved(work: Pass, binding: StoreBinding, gap: Gap) -> None:
    """Keep that somebody moved it: once it is set back, MLflow shows nothing of it any more."""
    name = f"{shown(gap.model)} {gap.target}"
    payload: dict[str, Json] = {
        "model": gap.model.name,
        "workspace": gap.model.workspace,
        "target": str(gap.target),
        "expected": gap.wanted,
        "found": list(gap.found),
        "sequence": gap.change.sequence,
    }
    subject = Subject(binding.store_id, TARGET_SUBJECT, name)
    work.records().note(TARGET_MOVED, subject, payload, actor=Actor(), required=True)
    work.raise_alarm(
        ALARM_MOVED, name, f"it was moved past the gate and is set back: {gap.to_text()}"
    )


def _note_equal(work: Pass, state: HostState, failed: Collection[TargetKey]) -> None:
    if work.dry_run:
        return
    for key, changes in work.timeline.changes.items():
        if Digest(key[0]) in state.models and key not in failed:
            work.done[key] = changes[-1].sequence


def _set_tags(
    work: Pass,
    host: Governs,
    binding: StoreBinding,
    state: HostState,
    failed: Collection[TargetKey],
) -> None:
    held = held_on_chain(work.timeline, state.models, work.book.targets)
    ids = {(m.workspace, m.name): key for key, m in state.models.items()}
    found = {
        (ids[tags.workspace, tags.model], tags.version): tags.tags
        for tags in host.reserved_tags(binding)
        if (tags.workspace, tags.model) in ids
    }
    names = {address: (name,) for address, name in work.people.items()}
    pending = {key[0] for key in failed}
    for key in sorted({*held, *found}):
        model_id, version = key
        if model_id in pending:
            continue  # a target that could not be set would be said to be
        commitment = work.timeline.commitment(model_id, version)

        def is_digest(digest: bytes, key: tuple[Digest, int] = key) -> bool:
            return digest_commitment(work.salt, *key, digest) == commitment  # noqa: B023

        if not any(find_lies(found.get(key, {}), held.get(key, {}), is_digest, names)):
            continue
        model = state.models[model_id]
        tags = _tags_of(work, model_id, version, held.get(key, {}))
        subject = f"{shown(model)} version {version}"
        if not work.dry_run:
            try:
                host.set_reserved_tags(
                    *(binding, model.name, model.workspace, version, tags), home=work.home
                )
            except ChainError as exc:
                work.report.fail(subject, exc)
                continue
        work.report.tagged.append(subject)


def _tags(work: Pass, model: ModelIncarnation, version: int) -> dict[str, str]:
    model_id = work.book.add_model(model)
    held = held_on_chain(work.timeline, {model_id: model}, work.book.targets)
    return _tags_of(work, model_id, version, held.get((model_id, version), {}))


def _tags_of(
    work: Pass, model_id: Digest, version: int, held: Mapping[Target, Change]
) -> dict[str, str]:
    digest = None
    for change in held.values():
        document = find_proposal(work.log, change.proposal)
        if document is not None:
            commitment = digest_commitment(work.salt, model_id, version, document.names.digest)
            if commitment == work.timeline.commitment(model_id, version):
                digest = document.names.digest
    return to_tags(held, digest, work.people)


def _key(book: NameBook, gap: Gap) -> TargetKey:
    return book.add_model(gap.model), book.add_target(gap.target)
