"""What one database shows of models against what the registry says: targets, tags and bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from chain_client.errors import HostUnavailable, InvalidInput
from chain_client.hosts import (
    Finding,
    Governs,
    ModelIncarnation,
    Progress,
    Remark,
    StoreBinding,
    Unchecked,
)
from chain_client.registry.documents import NameBook
from chain_client.registry.identity import Salt, digest_commitment
from chain_client.registry.targets import Target
from chain_client.sync.plan import Gap, HostState, Nameless, find_gaps, held_on_chain, shown
from chain_client.sync.tags import find_lies
from chain_client.sync.timeline import Change, TargetKey, Timeline
from chain_client.types import Address, Digest, to_hex
from chain_client.verify.registry_attempts import Attempt, show_us
from chain_client.verify.registry_emergencies import Emergencies

GRACE_S = 60
"""How long a promotion on chain may take to reach the host before it is a difference."""

Found = Finding | Unchecked | Remark


@dataclass(frozen=True, slots=True)
class View:
    """One database beside the registry in use.

    Args:
        host: shows the database.
        binding: the database.
        state: its models and targets.
        timeline: of the registry in use.
        salt: the deployment's.
        book: what ids stand for.
        names: everything that people were ever called.
        emergencies: that were signed for that registry.
        attempts: recorded changes of gated targets.
        now_s: the later of local time and the newest block's.
    """

    host: Governs
    binding: StoreBinding
    state: HostState
    timeline: Timeline
    salt: Salt
    book: NameBook
    names: Mapping[Address, Collection[str]]
    emergencies: Emergencies
    attempts: Collection[Attempt] = field(repr=False)
    now_s: float


def compare_targets(view: View) -> Iterator[Found]:
    """Aliases and stages that are not what is current on chain."""
    for gap in find_gaps(view.timeline, view.state, view.book.targets):
        if isinstance(gap, Nameless):
            yield Unchecked(f"model {shown(gap.model)}", gap.to_text())
            continue
        subject = _subject(gap.model, gap.target)
        key = (view.book.add_model(gap.model), view.book.add_target(gap.target))
        if _is_emergency(view, key, gap):
            yield Remark(subject, "it follows what was signed while the chain was out of reach")
        elif _is_under_way(view, key, gap):
            yield Remark(subject, f"{gap.to_text()}, decided a moment ago; sync sets it")
        else:
            yield Finding(
                "promotion_differs",
                subject,
                gap.wanted,
                list(gap.found) if len(gap.found) != 1 else gap.found[0],
                f"{gap.to_text()} since {show_us(gap.change.at_s * 1e6)}",
                gap.change.at_s * 1_000_000,
            )
    yield from _undecided(view)


def _undecided(view: View) -> Iterator[Found]:
    """Gated targets that hold a version though the chain never decided anything of them."""
    told = {attempt.key for attempt in view.attempts}
    ids = {(m.workspace, m.name): key for key, m in view.state.models.items()}
    for held in view.state.targets:
        try:
            target = Target.parse(held.target)
        except InvalidInput:
            continue
        key = (ids[held.workspace, held.model], view.book.add_target(target))
        if view.timeline.policy(key) is None or view.timeline.current(key) is not None:
            continue
        if key not in told:  # else that call is named
            versions = ", ".join(map(str, held.versions))
            text = f"version {versions} stood there before it was gated; nobody approved it"
            yield Remark(_subject(view.state.models[ids[held.workspace, held.model]], target), text)


def compare_tags(view: View) -> Iterator[Finding]:
    """Reserved tags that do not say what the chain says, of versions that are in no motion."""
    held = held_on_chain(view.timeline, view.state.models, view.book.targets)
    ids = {(m.workspace, m.name): key for key, m in view.state.models.items()}
    found = {
        (ids[tags.workspace, tags.model], tags.version): tags.tags
        for tags in view.host.reserved_tags(view.binding)
        if (tags.workspace, tags.model) in ids
    }
    moving = {
        view.book.add_model(gap.model)
        for gap in find_gaps(view.timeline, view.state, view.book.targets)
    }
    recent = {
        Digest(model)
        for (model, _), changes in view.timeline.changes.items()
        if changes[-1].at_s > view.now_s - GRACE_S
    }
    for key in sorted({*held, *found}):
        if key[0] not in moving | recent:
            yield from _lies(view, key, found.get(key, {}), held.get(key, {}))


def _lies(
    view: View,
    key: tuple[Digest, int],
    found: Mapping[str, str],
    held: Mapping[Target, Change],
) -> Iterator[Finding]:
    commitment = view.timeline.commitment(*key)

    def is_digest(digest: bytes) -> bool:
        return digest_commitment(view.salt, *key, digest) == commitment

    model = view.state.models[key[0]]
    for lie in find_lies(found, held, is_digest, view.names):
        yield Finding(
            "registry_tag_changed",
            f"model {shown(model)}/version {key[1]}/tag {lie.key}",
            lie.expected,
            lie.actual,
            "the tag does not say what the chain says; `mlops-chain sync` sets it right",
        )


def compare_files(view: View, progress: Progress) -> Iterator[Found]:
    """Versions whose files are not those that were registered on chain."""
    in_use = {
        (key[0], changes[-1].version)
        for key, changes in view.timeline.changes.items()
        if changes[-1].version
    }
    registered = [
        (view.state.models[Digest(model)], model, version, record.digest)
        for (model, version), record in sorted(view.timeline.state.versions.items())
        if Digest(model) in view.state.models
    ]
    for number, (model, model_id, version, commitment) in enumerate(registered):
        progress("hashing registered versions", number, len(registered))
        subject = f"model {shown(model)}/version {version}"
        try:
            files = view.host.attest(view.binding, model.name, version, model.workspace)
        except HostUnavailable as exc:
            yield Unchecked(subject, str(exc))
            continue
        except InvalidInput as exc:
            if (model_id, version) in in_use:
                yield _digest_differs(subject, commitment, None, str(exc))
            else:
                yield Remark(subject, f"its files can't be hashed any more ({exc})")
            continue
        actual = digest_commitment(view.salt, model_id, version, files.digest)
        if actual != commitment:
            detail = "its files are not those that were registered on chain"
            yield _digest_differs(subject, commitment, actual, detail)


def _digest_differs(subject: str, expected: bytes, actual: bytes | None, detail: str) -> Finding:
    found = None if actual is None else to_hex(actual)
    return Finding("model_digest_differs", subject, to_hex(expected), found, detail)


def compare_revoked(view: View) -> Iterator[Finding]:
    """Revoked versions that are still current."""
    for key, changes in view.timeline.changes.items():
        model = view.state.models.get(Digest(key[0]))
        version = changes[-1].version
        revoked_s = view.timeline.revoked.get((key[0], version))
        if model is None or revoked_s is None or view.timeline.policy(key) is None:
            continue
        target = view.book.targets.get(Digest(key[1]))
        name = to_hex(key[1]) if target is None else str(target)
        yield Finding(
            "revoked_version_current",
            f"model {shown(model)}/{name}",
            None,
            version,
            f"version {version} was revoked at {show_us(revoked_s * 1e6)} and is still current; "
            "roll back, or promote another one",
            revoked_s * 1_000_000,
        )


def _is_emergency(view: View, key: TargetKey, gap: Gap) -> bool:
    found = view.emergencies.standing(key, view.now_s)
    return found is not None and gap.found == ((found.version,) if found.version else ())


def _is_under_way(view: View, key: TargetKey, gap: Gap) -> bool:
    """Whether the host is where the chain was before a change of a moment ago."""
    if gap.change.at_s <= view.now_s - GRACE_S:
        return False
    before = view.timeline.changes[key][-2:-1]
    if not before:
        return True  # what stood there before anything was decided stands there still
    return gap.found == ((before[0].version,) if before[0].version else ())


def _subject(model: ModelIncarnation, target: Target) -> str:
    return f"model {shown(model)}/{target}"
