"""Which checks have to pass before a promotion is proposed: as an admin has applied them.

What counts stands in the log, signed by who administers the registry, and not in whatever file
the proposer has. Of what was applied for a place the latest counts; one that nobody entitled has
signed is passed over. Signatures here are stable.

=====================  ==========================================  =============================
event                  subject                                     payload
=====================  ==========================================  =============================
``checks.applied``     ``Subject("", "checks", place)``            ``model``, ``target``, ``checks``
=====================  ==========================================  =============================
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chain_client.canonical import MAX_INT, encode
from chain_client.errors import ChainError, InvalidEvent, InvalidInput
from chain_client.event_codec import decode_event
from chain_client.events import Json, Subject
from chain_client.log import Log
from chain_client.registry.check_reports import MAX_CHECKS
from chain_client.registry.documents import Records
from chain_client.registry.members import Members
from chain_client.registry.state import Place
from chain_client.signing import Signer
from chain_client.signing.eip712 import Domain, StructType, find_signer, sign_digest, sign_hash_of
from chain_client.types import Address, Digest, from_hex, to_hex

CHECKS_APPLIED = "checks.applied"

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
    """

    place: Place
    checks: tuple[ConfiguredCheck, ...]
    time_us: int
    signer: Address

    @property
    def hash(self) -> Digest:
        """Hash of the checks."""
        return hash_checks(self.checks)


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
) -> AppliedChecks:
    """Note, signed, that these checks have to pass at a place from now on.

    Args:
        records: the process's recorder.
        deployment_id: whose they are.
        domain: of the registry.
        signer: the admin's key.
        place: model (or `ANY_MODEL`) and target, as they stand on chain.
        checks: by name; none takes them away.
        time_us: decides which is the latest.

    Raises:
        InvalidInput: too many or too much.
        ConfigurationError: the key can't be read or unlocked.
        SpoolUnavailable: the journal can't be written.
    """
    applied = AppliedChecks(place, tuple(checks), time_us, signer.address())
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
        "signature": to_hex(signature),
    }
    subject = Subject("", "checks", f"{to_hex(model)}/{to_hex(target)}")
    records.note(CHECKS_APPLIED, subject, payload, required=True)
    return applied


def read_applied(log: Log, deployment_id: str, domain: Domain) -> list[AppliedChecks]:
    """Everything that somebody ever applied, in the order of time; who may is not asked here.

    Args:
        log: the home's.
        deployment_id: whose they are.
        domain: of the registry; what was signed for another one counts for nothing.
    """
    found = []
    for entry in log.find_events(Subject("", "checks", "").to_key()):
        try:
            event = decode_event(entry.event or b"")
        except InvalidEvent:
            continue  # verify names it
        if event.type != CHECKS_APPLIED:
            continue
        applied = _checked(event.payload, deployment_id, domain)
        if applied is not None:
            found.append(applied)
    return sorted(found, key=lambda one: (one.time_us, one.hash))


def latest(
    applied: Iterable[AppliedChecks], place: Place, entitled: Collection[Address]
) -> AppliedChecks | None:
    """The latest that was applied for a place by somebody who is, or was, entitled to."""
    found = [one for one in applied if one.place == place and one.signer in entitled]
    return found[-1] if found else None


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
        unsigned = AppliedChecks(place, checks, value.number("time_us", 63), Address(bytes(20)))
        digest = _digest(deployment_id, domain, unsigned)
        signer = find_signer(digest, from_hex(value.text("signature")))
    except ChainError:
        return None
    names = [check.name for check in checks]
    if signer is None or len(checks) > MAX_CHECKS or names != sorted(set(names)):
        return None
    return AppliedChecks(place, checks, unsigned.time_us, signer)


def _digest(deployment_id: str, domain: Domain, applied: AppliedChecks) -> bytes:
    values: dict[str, str | int | bytes] = {
        "deployment": deployment_id,
        "model": applied.place[0],
        "target": applied.place[1],
        "checks": applied.hash,
        "timeUs": applied.time_us,
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
