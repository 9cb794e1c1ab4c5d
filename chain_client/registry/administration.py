"""What only an admin, a breaker or a registrar does, with the own key.

Signatures here are stable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from chain_client.errors import (
    ConfigurationError,
    ContractReverted,
    InvalidInput,
    PromotionConflict,
)
from chain_client.home import OWNER_KEY
from chain_client.hosts import ModelIncarnation
from chain_client.ledger import timelock
from chain_client.ledger.base import Call
from chain_client.ledger.model_registry import (
    ADMIN_ROLE,
    BREAKER_ROLE,
    ROLE_NAMES,
    Policy,
    explain,
)
from chain_client.ledger.timelock import Operation, OperationState, TimelockContract
from chain_client.registry import documents
from chain_client.registry.authoring import Authoring
from chain_client.registry.check_configuration import ConfiguredCheck, note_applied
from chain_client.registry.sending import Sender, purpose_of
from chain_client.registry.state import Place
from chain_client.registry.targets import Target
from chain_client.signing import Signer, open_signer
from chain_client.signing.keccak import keccak256
from chain_client.transactions import TransactionLimits
from chain_client.types import Address, Digest, TxHash, to_hex

ROLES = {name: role for role, name in ROLE_NAMES.items()}
"""Roles by the names that people use."""


@dataclass(frozen=True, slots=True)
class Done:
    """It is so on chain. ``tx_hash``: the transaction; None if it was so before."""

    tx_hash: TxHash | None = None


@dataclass(frozen=True, slots=True)
class Scheduled:
    """It waits in the timelock; the same command carries it out from ``ready_at_s`` on."""

    operation_id: Digest
    ready_at_s: int


@dataclass(frozen=True, slots=True)
class Noted:
    """It is noted in the log, signed by the admin; nothing of it is sent to the chain."""


AdminResult: TypeAlias = Done | Scheduled | Noted


class Administration(Authoring):
    """Administers the registry. Every method may be called again: what is done already is done.

    Where a timelock administers the registry, what an admin asks for is scheduled, and the same
    call carries it out once it may be.

    Every method may raise `ContractReverted` (the contract's own reason), `LedgerUnavailable`,
    `ConfigurationError` (the key) and what `Sender.send` raises.
    """

    # --- what an admin decides: policies and groups

    def set_policy(
        self,
        model: ModelIncarnation | None,
        target: Target,
        policy: Policy,
        *,
        signer: Signer | None = None,
    ) -> AdminResult:
        """Set the policy of a target of a model; None: the default for every model.

        Args:
            model: the incarnation, or None.
            target: the alias or stage.
            policy: its ``revision`` is not looked at; threshold 0 takes it away.
            signer: the admin's key; default: the owner's.
        """
        self.note_names((), (target,), () if model is None else (model,))
        owner = Digest(bytes(32)) if model is None else self.model_id(model)
        return self.set_policy_of(owner, self.target_id(target), policy, signer=signer)

    def set_policy_of(
        self, model: Digest, target: Digest, policy: Policy, *, signer: Signer | None = None
    ) -> AdminResult:
        """The same for a model and a target as they stand on chain."""

        def stands() -> bool:
            in_force = self.contract.policy(model, target)
            found = None if in_force.is_default else in_force.policy
            if found is None or policy.threshold == 0:
                return (found is None) == (policy.threshold == 0)
            return found.to_tuple()[:5] == policy.to_tuple()[:5]

        call = self.contract.set_policy_call(model, target, policy)
        return self._administer("set-policy", call, stands, signer)

    def apply_checks(
        self, place: Place, checks: Sequence[ConfiguredCheck], *, signer: Signer | None = None
    ) -> AdminResult:
        """Say which checks have to pass at a place; none: none any more. Counts at once.

        Args:
            place: model (or `ANY_MODEL`) and target, as they stand on chain.
            checks: by name.
            signer: the admin's key, which signs what is noted; default: the owner's.

        Raises:
            InvalidInput: another's key, too many checks, or a clock that is far ahead.
        """
        before = self.applied_checks().get(place)
        if before is not None and before.checks == tuple(checks):
            return Done()
        key = signer or self._key(OWNER_KEY)
        if not self.may_apply_checks(key.address()):
            raise InvalidInput(
                "checks are applied by who administers the registry: "
                f"{to_hex(key.address())} has neither the role admin nor, where there is a "
                "timelock, that of its proposers"
            )
        # The chain's clock may be ahead of ours, and who has the right has it by the chain's.
        time_us = max(self._clock.time_us(), self.now_s() * 1_000_000)
        deployment_id, size = self.deployment.deployment_id, self._log.size()
        records = self._recorder()
        note_applied(records, deployment_id, self.domain, key, place, checks, time_us, size)
        return Noted()

    def add_approver(
        self, group: str, account: Address, *, signer: Signer | None = None
    ) -> AdminResult:
        """Give an account a seat in a group."""
        self.note_names((group,), (), ())
        return self.add_approver_of(self.group_id(group), account, signer=signer)

    def add_approver_of(
        self, group: Digest, account: Address, *, signer: Signer | None = None
    ) -> AdminResult:
        """The same for a group as it stands on chain."""
        call = self.contract.add_approver_call(group, account)
        return self._administer(
            "add-approver", call, lambda: self.contract.is_approver(group, account), signer
        )

    def remove_approver(
        self, group: str, account: Address, *, signer: Signer | None = None
    ) -> AdminResult:
        """Empty an account's seat; what it approved and is not promoted counts no more."""
        return self.remove_approver_of(self.group_id(group), account, signer=signer)

    def remove_approver_of(
        self, group: Digest, account: Address, *, signer: Signer | None = None
    ) -> AdminResult:
        """The same for a group as it stands on chain."""
        call = self.contract.remove_approver_call(group, account)
        return self._administer(
            "remove-approver", call, lambda: not self.contract.is_approver(group, account), signer
        )

    # --- what an admin decides: roles, and the registry as a whole

    def grant_role(
        self, role: str, account: Address, *, signer: Signer | None = None
    ) -> AdminResult:
        """Give a role of `ROLES`."""
        key = _role(role)
        call = self.contract.grant_role_call(key, account)
        return self._administer(
            "grant-role", call, lambda: self.contract.has_role(key, account), signer
        )

    def revoke_role(
        self, role: str, account: Address, *, signer: Signer | None = None
    ) -> AdminResult:
        """Take a role of `ROLES` away."""
        key = _role(role)
        call = self.contract.revoke_role_call(key, account)
        return self._administer(
            "revoke-role", call, lambda: not self.contract.has_role(key, account), signer
        )

    def pause(self, *, signer: Signer | None = None) -> AdminResult:
        """Stop every decision; a breaker does it at once, an admin as ever."""
        key = signer or self._key(OWNER_KEY)
        call = self.contract.pause_call()
        if self.contract.has_role(BREAKER_ROLE, key.address()):
            return self._once("pause", call, self.contract.paused, key)
        return self._administer("pause", call, self.contract.paused, key)

    def unpause(self, *, signer: Signer | None = None) -> AdminResult:
        """End a pause."""
        call = self.contract.unpause_call()
        return self._administer("unpause", call, lambda: not self.contract.paused(), signer)

    def succeed(
        self, new_registry: Address, reason: str, *, signer: Signer | None = None
    ) -> AdminResult:
        """Name the registry that takes this one's place, for ever.

        The reason is salted from the names alone, so that the same call carries out what a
        timelock has scheduled.
        """
        salted = f"{reason}\nSalt: {to_hex(keccak256(self.salt.value + reason.encode()))}"
        documents.note_reason(self._recorder(), salted)
        call = self.contract.succeed_call(new_registry, documents.hash_reason(salted))
        return self._administer(
            "succeed", call, lambda: self.contract.successor() == new_registry, signer
        )

    # --- what a registrar or a breaker does with versions

    def register_version(
        self,
        model: ModelIncarnation,
        version: int,
        commitment: Digest,
        leaf_index: int,
        *,
        signer: Signer | None = None,
    ) -> Done:
        """Register a version with its salted digest, for ever.

        Args:
            model: the incarnation.
            version: number of the version.
            commitment: as `commitment` gives it.
            leaf_index: leaf of its attestation in the log.
            signer: the registrar's key; default: that of the settings.

        Raises:
            PromotionConflict: it is registered with another digest.
        """
        on_chain = self.model_id(model)

        def stands() -> bool:
            record = self.contract.version(on_chain, version)
            if record is not None and record.digest != commitment:
                raise PromotionConflict(
                    f"version {version} of {model.name!r} is registered with another digest: its "
                    "files are not those that were registered; log them as a new version"
                )
            return record is not None

        self.note_names((), (), (model,))
        call = self.contract.register_version_call(on_chain, version, commitment, leaf_index)
        key = signer or self._key(self._settings.registry_registrar)
        return self._once("register-version", call, stands, key)

    def revoke_version(self, model: Digest, version: int, reason: str, *, signer: Signer) -> Done:
        """Bar a version from promotion for ever; a breaker's own key sends it."""

        def stands() -> bool:
            record = self.contract.version(model, version)
            return record is not None and record.is_revoked

        if stands():
            return Done()
        salted = documents.salt_reason(reason)
        documents.note_reason(self._recorder(), salted)
        hashed = documents.hash_reason(salted)
        call = self.contract.revoke_version_call(model, version, hashed)
        return self._once("revoke-version", call, stands, signer)

    # --- names

    def note_names(
        self,
        groups: Iterable[str],
        targets: Iterable[Target],
        models: Iterable[ModelIncarnation],
    ) -> None:
        """Note in the log what ids on chain stand for, unless it says so already."""
        known, records = documents.NameBook.read(self._log, self.salt), self._recorder()
        for group in groups:
            if group not in known.groups.values():
                documents.note_group(records, self.salt, group)
        for target in targets:
            if target not in known.targets.values():
                documents.note_target(records, self.salt, target)
        for model in models:
            if model not in known.models.values():
                documents.note_model(records, self.salt, model)

    # --- within

    def _key(self, uri: str) -> Signer:
        return open_signer(uri, base=self._home)

    def _sender(self) -> Sender:
        return Sender(
            self._log,
            self._ledger,
            self.deployment.chain_id,
            clock=self._clock,
            limits=TransactionLimits.from_settings(self._settings),
            exclusive=(self._settings.registry_registrar, self._settings.registry_submitter),
            wait=self._wait,
        )

    def _once(self, action: str, call: Call, stands: Callable[[], bool], signer: Signer) -> Done:
        """Send a call unless it is so already; somebody else may do it meanwhile."""
        if stands():
            return Done()
        try:
            settled = self._sender().send(signer, call, purpose_of(action, call), explain)
        except ContractReverted:
            if stands():
                return Done()
            raise
        return Done(settled.receipt.tx_hash)

    def _administer(
        self, action: str, call: Call, stands: Callable[[], bool], signer: Signer | None
    ) -> AdminResult:
        if stands():
            return Done()
        key = signer or self._key(OWNER_KEY)
        if self.deployment.timelock is None:
            return self._once(action, call, stands, key)
        if self.contract.has_role(ADMIN_ROLE, key.address()):
            raise ConfigurationError(
                f"{to_hex(key.address())} is an admin beside the timelock, which would take no "
                "effect then; revoke that role"
            )
        lock = TimelockContract(self._ledger, self.deployment.timelock)
        operation, operation_id, state = _next_operation(lock, call)
        if state is OperationState.NONE:
            schedule = lock.schedule_call(operation, lock.min_delay_s())
            self._sender().send(key, schedule, purpose_of(action, schedule), timelock.explain)
        elif state is OperationState.READY:
            execute = lock.execute_call(operation)
            sent = self._sender().send(key, execute, purpose_of(action, execute), timelock.explain)
            return Done(sent.receipt.tx_hash)
        ready_at_s = lock.ready_at_s(operation_id)
        return Done() if ready_at_s is None else Scheduled(operation_id, ready_at_s)


def _next_operation(lock: TimelockContract, call: Call) -> tuple[Operation, Digest, OperationState]:
    """The operation for a call that is not done yet: the first of its line, as each call may be
    needed again later (a member that joins, leaves and joins)."""
    known: dict[int, OperationState] = {}

    def at(number: int) -> Operation:
        salt = Digest(keccak256(b"mlops-chain operation" + number.to_bytes(32, "big")))
        return Operation(call, salt)

    def is_done(number: int) -> bool:
        known[number] = lock.state(at(number).id)
        return known[number] is OperationState.DONE

    # None waits before all earlier ones are done, so that few questions find the first.
    done, open_ = -1, 0
    while is_done(open_):
        done, open_ = open_, 2 * open_ + 1
    while open_ - done > 1:
        middle = (done + open_) // 2
        done, open_ = (middle, open_) if is_done(middle) else (done, middle)
    return at(open_), at(open_).id, known[open_]


def _role(name: str) -> Digest:
    if name not in ROLES:
        raise ConfigurationError(f"expected one of the roles {', '.join(ROLES)}")
    return ROLES[name]
