"""Who did what, when and in which block: the registry's events, told with the names of the log.

Pure. Where the log does not say what a hash stands for, the hash is shown. Signatures here are
stable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from chain_client.ledger.model_registry_values import (
    ANY_MODEL,
    ROLE_NAMES,
    Cause,
    Policy,
    ProposalFields,
    RegistryEvent,
)
from chain_client.registry.durations import show_duration, show_time
from chain_client.registry.evidence import to_kinds
from chain_client.registry.history_entries import History, HistoryEntry, Lookup
from chain_client.registry.standing import show_address
from chain_client.types import Digest, to_hex


def tell(events: Iterable[RegistryEvent], times: Mapping[int, int], lookup: Lookup) -> History:
    """The history that the registry's events tell.

    Args:
        events: all of the contract's, in chain order.
        times: seconds since the epoch by block number.
        lookup: what hashes stand for.
    """
    found = list(events)
    teller = _Teller(lookup, found)
    entries = []
    for event in found:
        told = _TOLD.get(event.name)
        if told is None:
            continue
        values = told(teller, event.args, event)
        who = values.get("who")
        if who is not None:
            values["name"] = lookup.users.get(who, "")
        entries.append(
            HistoryEntry(times[event.block_number], event.block_number, event.tx_hash, **values)
        )
    return History(tuple(entries))


__all__ = ["History", "HistoryEntry", "Lookup", "show_policy", "tell"]

_Values: TypeAlias = dict[str, Any]


class _Teller:
    """Gives an event's entry, knowing the proposals before it."""

    def __init__(self, lookup: Lookup, events: Sequence[RegistryEvent]) -> None:
        self.lookup = lookup
        self._fields: dict[Digest, ProposalFields] = {}
        self._causes: dict[tuple[Digest, Digest, int], Cause] = {}
        for event in events:
            args = event.args
            if event.name == "ProposalMade":
                self._fields[args["proposalId"]] = args["proposal"]
            if event.name == "CurrentChanged":
                self._causes[args["model"], args["target"], args["sequence"]] = args["cause"]

    def place(self, model: Digest, target: Digest | None = None) -> _Values:
        is_default = model == ANY_MODEL
        shown: _Values = {
            "model": model,
            "model_name": "every model" if is_default else self.lookup.show_model(model),
        }
        if target is not None:
            shown["target"] = self.lookup.show_target(target)
        return shown

    def proposal(self, proposal_id: Digest) -> _Values:
        fields = self._fields.get(proposal_id)
        if fields is None:
            return {"proposal_id": proposal_id}
        return {
            **self.place(fields.model, fields.target),
            "version": fields.version,
            "proposal_id": proposal_id,
        }

    def reason(self, hash_: bytes) -> str:
        if not any(hash_):
            return ""
        text = self.lookup.reasons(hash_)
        return f"reason {to_hex(hash_)}" if text is None else f"reason: {text}"

    def meaning_of_return(self, args: Mapping[str, Any]) -> str:
        cause = self._causes.get((args["model"], args["target"], args["sequence"] + 1))
        return "removal" if cause is Cause.REMOVED else "rollback"


def _version_registered(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {
        "what": "version registered",
        "who": args["registrant"],
        **teller.place(args["model"]),
        "version": args["version"],
        "detail": f"attested by leaf {args['leafIndex']}; digest on chain {to_hex(args['digest'])}",
    }


def _version_revoked(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {
        "what": "version revoked",
        "who": args["revoker"],
        **teller.place(args["model"]),
        "version": args["version"],
        "detail": teller.reason(args["reason"]),
    }


def _policy_set(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    policy: Policy = args["policy"]
    return {
        "what": "policy set" if policy.threshold else "policy taken away",
        **teller.place(args["model"], args["target"]),
        "detail": show_policy(policy, teller.lookup) if policy.threshold else "",
    }


def _proposal_made(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    fields: ProposalFields = args["proposal"]
    document = teller.lookup.documents.get(args["proposalId"])
    parts = [f"deadline {_deadline(fields.deadline_s)}"]
    if document is None:
        parts.append(f"its text is not in the log; its hash is {to_hex(fields.summary_hash)}")
    else:
        parts.append(f"files {to_hex(document.names.digest)}")
        evidence = ", ".join(str(item) for item in document.names.evidence)
        parts.extend([f"evidence {evidence}"] if evidence else [])
    if any(fields.supersedes):
        parts.append(f"takes up {to_hex(fields.supersedes)}")
    return {
        "what": "promotion proposed",
        "who": fields.requester,
        "meaning": "authorship",
        **teller.proposal(args["proposalId"]),
        "detail": "; ".join(parts),
    }


def _proposal_approved(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {
        "what": "proposal approved",
        "who": args["approver"],
        "meaning": "approval",
        **teller.proposal(args["proposalId"]),
    }


def _proposal_reviewed(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {
        "what": "proposal reviewed",
        "who": args["reviewer"],
        "meaning": "review",
        **teller.proposal(args["proposalId"]),
    }


def _proposal_rejected(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {
        "what": "proposal rejected",
        "who": args["approver"],
        "meaning": "rejection",
        **teller.proposal(args["proposalId"]),
        "detail": teller.reason(args["reason"]),
    }


def _proposal_withdrawn(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {
        "what": "proposal withdrawn",
        "who": args["requester"],
        "meaning": "withdrawal",
        **teller.proposal(args["proposalId"]),
    }


_CHANGED = {
    Cause.PROMOTED: "version promoted",
    Cause.ROLLED_BACK: "version rolled back to",
    Cause.BROKE_GLASS: "version promoted by breaking the glass",
    Cause.REMOVED: "current version removed",
}


def _current_changed(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {
        "what": _CHANGED.get(args["cause"], "current version changed"),
        **teller.place(args["model"], args["target"]),
        "version": args["version"] or None,
        "proposal_id": args["proposalId"] if any(args["proposalId"]) else None,
        "detail": f"change {args['sequence']} of this target",
    }


def _return_approved(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    meaning = teller.meaning_of_return(args)
    return {
        "what": f"{meaning} approved",
        "who": args["approver"],
        "meaning": meaning,
        **teller.place(args["model"], args["target"]),
        "detail": f"after change {args['sequence']} of this target",
    }


def _glass_broken(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {
        "what": "glass broken",
        "who": args["breaker"],
        "meaning": "break-glass",
        **teller.proposal(args["proposalId"]),
        "detail": teller.reason(args["reason"]),
    }


def _approver_added(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {"what": "approver added", "detail": _seat(teller, args)}


def _approver_removed(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {"what": "approver removed", "detail": _seat(teller, args)}


def _role_granted(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {"what": "role granted", "who": args["sender"], "detail": _role(teller, args)}


def _role_revoked(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {"what": "role revoked", "who": args["sender"], "detail": _role(teller, args)}


def _paused(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {"what": "registry paused", "who": args["account"]}


def _unpaused(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    return {"what": "registry unpaused", "who": args["account"]}


def _registry_succeeded(teller: _Teller, args: Mapping[str, Any], _: RegistryEvent) -> _Values:
    reason = teller.reason(args["reason"])
    detail = f"by {to_hex(args['successor'])}" + (f"; {reason}" if reason else "")
    return {"what": "registry succeeded", "detail": detail}


def show_policy(policy: Policy, lookup: Lookup) -> str:
    """A policy in words."""
    needs = ", ".join(to_kinds(policy.evidence_kinds))
    return (
        f"{policy.threshold} of {lookup.show_group(policy.group)}, earliest after "
        f"{show_duration(policy.min_delay_s)}, open for {show_duration(policy.expiry_s)}"
        + (f", with evidence {needs}" if needs else "")
    )


def _seat(teller: _Teller, args: Mapping[str, Any]) -> str:
    account = show_address(args["account"], teller.lookup.users)
    return (
        f"{account} ({to_hex(args['account'])}), seat {args['seat']} of "
        f"{teller.lookup.show_group(args['group'])}"
    )


def _role(teller: _Teller, args: Mapping[str, Any]) -> str:
    role = ROLE_NAMES.get(args["role"], to_hex(args["role"]))
    account = show_address(args["account"], teller.lookup.users)
    return f"{role}: {account} ({to_hex(args['account'])})"


def _deadline(deadline_s: int) -> str:
    return show_time(deadline_s) if deadline_s < 1 << 37 else f"{deadline_s} s"


_TOLD: Mapping[str, Callable[[_Teller, Mapping[str, Any], RegistryEvent], _Values]] = {
    "VersionRegistered": _version_registered,
    "VersionRevoked": _version_revoked,
    "PolicySet": _policy_set,
    "ProposalMade": _proposal_made,
    "ProposalApproved": _proposal_approved,
    "ProposalReviewed": _proposal_reviewed,
    "ProposalRejected": _proposal_rejected,
    "ProposalWithdrawn": _proposal_withdrawn,
    "CurrentChanged": _current_changed,
    "ReturnApproved": _return_approved,
    "GlassBroken": _glass_broken,
    "ApproverAdded": _approver_added,
    "ApproverRemoved": _approver_removed,
    "RoleGranted": _role_granted,
    "RoleRevoked": _role_revoked,
    "Paused": _paused,
    "Unpaused": _unpaused,
    "RegistrySucceeded": _registry_succeeded,
}
"""How each event is told."""
