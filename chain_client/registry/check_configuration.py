"""Which checks have to pass before a promotion is proposed: as an admin has applied them.

What counts stands in the log, signed by who administers the registry, and not in whatever file
the proposer has. Each says how long the log was when it was signed, and that orders them: what was
signed once and is put into the log again counts no more than it did, and no clock matters. Which
of them counted when is told by `check_history`. Signatures here are stable.

=====================  ==========================================  =============================
event                  subject                                     payload
=====================  ==========================================  =============================
``checks.applied``     ``Subject("", "checks", place)``            ``model``, ``target``, ``checks``
                                                                   ``log_size``, ``time_us``
=====================  ==========================================  =============================
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chain_client.canonical import MAX_INT, encode
from chain_client.commitments import seal
from chain_client.errors import ChainError, InvalidEvent, InvalidInput
from chain_client.event_codec import decode_event
from chain_client.events import Event, Json, Subject
from chain_client.log import Entry, Log
from chain_client.registry.check_reports import MAX_CHECKS
from chain_client.registry.documents import Records
from chain_client.registry.members import Members
from chain_client.registry.state import Place
from chain_client.signing import Signer
from chain_client.signing.eip712 import Domain, StructType, find_signer, sign_digest, sign_hash_of
from chain_client.types import Address, Digest, from_hex, to_hex

CHECKS_APPLIED = "checks.applied"
_PREFIX = Subject("", "checks", "").to_key()

_MAX_BYTES = 64 * 1024
_MAX_NAME = 100
_MAX_LEVELS = 8
_APPLIED = StructType(
    "ChecksApplied",
    (
        ("deployment", "string"),
        ("model", "bytes32"),
        ("target", "bytes32"),
        ("checks", "bytes32"),
        ("timeUs", "uint64"),
        ("logSize", "uint64"),
    ),
)


@dataclass(frozen=True, slots=True)
class ConfiguredCheck:
    """One check of a policy.

    Args:
        name: as the policy file calls it.
        plugin: that carries it out.
        configuration: everything else that the file says of it, as JSON.

    Raises:
        InvalidInput: a name that can't be shown, or no JSON.
    """

    name: str
    plugin: str
    configuration: Mapping[str, Json] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for what, text in (("name", self.name), ("plugin", self.plugin)):
            if not text or len(text) > _MAX_NAME or not text.isprintable() or text != text.strip():
                raise InvalidInput(f"{what}: expected 1 to {_MAX_NAME} printable characters")
        _check_json(self.configuration, "", _MAX_LEVELS)

    @property
    def hash(self) -> Digest:
        """SHA-256 of the RFC 8785 bytes of all of it."""
        return Digest(hashlib.sha256(encode(self.to_json())).digest())

    def to_json(self) -> dict[str, Json]:
        """All of it by name."""
        return {
            "name": self.name,
            "plugin": self.plugin,
            "configuration": dict(self.configuration),
        }

    @classmethod
    def from_json(cls, data: object) -> ConfiguredCheck:
        """The inverse of `to_json`.

        Raises:
            InvalidInput: it is none.
        """
        value = Members(data, "check")
        configuration = value.raw("configuration")
        if not isinstance(configuration, dict):
            raise InvalidInput("check.configuration: expected an object")
        return cls(value.text("name"), value.text("plugin"), configuration)


@dataclass(frozen=True, slots=True)
class AppliedChecks:
    """What was applied for a place.

    Args:
        place: model (or `ANY_MODEL`) and target, as they stand on chain.
        checks: by name; none: taken away.
        time_us: when, by the clock of who applied it.
        signer: who did.
        log_size: of the log when it was signed: all that stood there before is older.
        index: of its leaf; None until it is read from the log.
    """

    place: Place
    checks: tuple[ConfiguredCheck, ...]
    time_us: int
    signer: Address
    log_size: int
    index: int | None = None

    @property
    def hash(self) -> Digest:
        """Hash of the checks."""
        return hash_checks(self.checks)


@dataclass(frozen=True, slots=True)
class AppliedLog:
    """What a log holds of what was applied.

    Args:
        applied: the oldest first; whether their signers were entitled is not asked here.
        unreadable: by place, the indexes of entries that can't be read, or are not what the log
            took in: what they applied nobody knows.
    """

    applied: tuple[AppliedChecks, ...]
    unreadable: Mapping[Place, tuple[int, ...]]


def hash_checks(checks: Iterable[ConfiguredCheck]) -> Digest:
    """SHA-256 of the RFC 8785 bytes of the list of checks: what approvers read as configuration."""
    value: list[Json] = [check.to_json() for check in checks]
    return Digest(hashlib.sha256(encode(value)).digest())


def note_applied(
    records: Records,
    deployment_id: str,
    domain: Domain,
    signer: Signer,
    place: Place,
    checks: Sequence[ConfiguredCheck],
    time_us: int,
    log_size: int,
) -> AppliedChecks:
    """Note, signed, that these checks have to pass at a place from now on.

    Args:
        records: the process's recorder.
        deployment_id: whose they are.
        domain: of the registry.
        signer: the admin's key.
        place: model (or `ANY_MODEL`) and target, as they stand on chain.
        checks: by name; none takes them away.
        time_us: when.
        log_size: of the log now; decides which is the latest.

    Raises:
        InvalidInput: too many or too much.
        ConfigurationError: the key can't be read or unlocked.
        SpoolUnavailable: the journal can't be written.
    """
    applied = AppliedChecks(place, tuple(checks), time_us, signer.address(), log_size)
    listed: list[Json] = [check.to_json() for check in checks]
    if len(checks) > MAX_CHECKS or len(encode(listed)) > _MAX_BYTES:
        raise InvalidInput(f"expected at most {MAX_CHECKS} checks, of {_MAX_BYTES} bytes together")
    signature = sign_digest(signer, _digest(deployment_id, domain, applied))
    model, target = place
    payload: dict[str, Json] = {
        "deployment": deployment_id,
        "model": to_hex(model),
        "target": to_hex(target),
        "checks": listed,
        "time_us": time_us,
        "log_size": log_size,
        "signature": to_hex(signature),
    }
    subject = Subject("", "checks", f"{to_hex(model)}/{to_hex(target)}")
    records.note(CHECKS_APPLIED, subject, payload, required=True)
    return applied


def read_applied(log: Log, deployment_id: str, domain: Domain) -> AppliedLog:
    """Everything that somebody ever applied; who may is not asked here.

    Args:
        log: the home's.
        deployment_id: whose they are.
        domain: of the registry; what was signed for another one counts for nothing.
    """
    found, unreadable = [], defaultdict(list)
    for entry in log.find_events(_PREFIX):
        event = _read(entry)
        if event is None:
            place = _place(entry.subject_key or "")
            if place is not None:
                unreadable[place].append(entry.index)
        elif event.type == CHECKS_APPLIED:
            applied = _checked(event.payload, deployment_id, domain)
            # Nobody knew a log that was longer than it is where this stands.
            if applied is not None and applied.log_size <= entry.index:
                found.append(replace(applied, index=entry.index))
    found.sort(key=lambda one: (one.log_size, one.time_us, one.index))
    return AppliedLog(tuple(found), {key: tuple(where) for key, where in unreadable.items()})


def _read(entry: Entry) -> Event | None:
    """The event of an entry, if it is the one that the log took in."""
    try:
        if entry.seed is None:
            return None
        event = decode_event(entry.event or b"")
        return event if seal(event, entry.seed) == entry.leaf_hash else None
    except (InvalidEvent, InvalidInput):
        return None


def _place(subject_key: str) -> Place | None:
    model, _, target = subject_key.removeprefix(_PREFIX).partition("/")
    try:
        return Digest(from_hex(model, size=32)), Digest(from_hex(target, size=32))
    except ChainError:
        return None


def _checked(
    payload: Mapping[str, Any], deployment_id: str, domain: Domain
) -> AppliedChecks | None:
    listed = payload.get("checks")
    if payload.get("deployment") != deployment_id or not isinstance(listed, list | tuple):
        return None
    try:
        value = Members(dict(payload), "checks.applied")
        place = Digest(value.bytes("model", 32)), Digest(value.bytes("target", 32))
        checks = tuple(ConfiguredCheck.from_json(one) for one in listed[: MAX_CHECKS + 1])
        time_us, log_size = value.number("time_us", 53), value.number("log_size", 53)
        unsigned = AppliedChecks(place, checks, time_us, Address(bytes(20)), log_size)
        digest = _digest(deployment_id, domain, unsigned)
        signer = find_signer(digest, from_hex(value.text("signature")))
    except ChainError:
        return None
    names = [check.name for check in checks]
    if signer is None or len(checks) > MAX_CHECKS or names != sorted(set(names)):
        return None
    return replace(unsigned, signer=signer)


def _digest(deployment_id: str, domain: Domain, applied: AppliedChecks) -> bytes:
    values: dict[str, str | int | bytes] = {
        "deployment": deployment_id,
        "model": applied.place[0],
        "target": applied.place[1],
        "checks": applied.hash,
        "timeUs": applied.time_us,
        "logSize": applied.log_size,
    }
    return sign_hash_of(domain, _APPLIED.hash(values))


def _check_json(value: object, path: str, levels: int) -> None:
    """See that a value is JSON that every reader understands alike.

    Raises:
        InvalidInput: it is not; the text names where.
    """
    if isinstance(value, bool | str):
        return
    if isinstance(value, int) and abs(value) <= MAX_INT:
        return
    if isinstance(value, float) and value - value == 0:
        return
    if levels and isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str) or not key:
                raise InvalidInput(f"{path or 'check'}: expected keys that are texts")
            _check_json(item, f"{path}.{key}" if path else key, levels - 1)
    elif levels and isinstance(value, list | tuple):
        for number, item in enumerate(value):
            _check_json(item, f"{path}[{number}]", levels - 1)
    else:
        raise InvalidInput(
            f"{path}: expected a text, a number, true, false, a list or a table, got "
            f"{type(value).__name__}"
        )
