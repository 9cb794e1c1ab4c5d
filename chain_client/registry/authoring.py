"""Writing proposals, rollbacks and removals. Sends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from secrets import token_bytes

from chain_client.errors import InvalidInput, PromotionConflict
from chain_client.hosts import ModelIncarnation
from chain_client.ledger.model_registry import ProposalFields
from chain_client.registry.check_reports import CheckReport
from chain_client.registry.checking import CheckedReader
from chain_client.registry.documents import NameBook
from chain_client.registry.evidence import EvidenceItem, to_kinds, to_mask
from chain_client.registry.proposals import PolicyTerms, ProposalDocument, ProposalNames
from chain_client.registry.returns import ReturnDocument
from chain_client.registry.summaries import (
    complete_proposal,
    complete_return,
    new_salt_line,
)
from chain_client.registry.targets import Target
from chain_client.registry.users import to_names
from chain_client.shown_text import escape_unprintable
from chain_client.types import Address, Digest

_NONE = Digest(bytes(32))
_SHOWN = 50


def new_nonce() -> Digest:
    """32 random bytes that tell a proposal from every other one."""
    return Digest(token_bytes(32))


class Authoring(CheckedReader):
    """Writes what people sign. Signatures here are stable."""

    def check_gated(self, model: ModelIncarnation, target: Target) -> None:
        """See that a policy is in force, which costs less than to attest files first.

        Raises:
            InvalidInput: none is; the text names targets of the model that have one.
        """
        if self.terms(self.model_id(model), self.target_id(target))[0] is None:
            raise self._not_gated(model, target)

    def write_proposal(
        self,
        model: ModelIncarnation,
        version: int,
        target: Target,
        model_digest: Digest,
        requester: Address,
        *,
        evidence: Sequence[EvidenceItem] = (),
        open_for_s: int | None = None,
        supersedes: Digest | None = None,
        for_break_glass: bool = False,
        checks: CheckReport | None = None,
    ) -> ProposalDocument:
        """A proposal under the policy in force; nothing is sent or noted.

        Args:
            model: the incarnation.
            version: number of the version.
            target: the alias or stage.
            model_digest: of the version's files, as attested.
            requester: who is to sign it.
            evidence: what the requester brings.
            open_for_s: seconds until its deadline; by default as long as the policy allows.
            supersedes: a closed proposal that it takes up again.
            for_break_glass: no policy needs to be in force, and none is obeyed.
            checks: what the policy's checks found; gives the proposal its nonce.

        Raises:
            InvalidInput: no policy is in force, evidence is missing, or a leaf is not in the log.
            PromotionConflict: the policy was changed while it was checked.
        """
        on_chain, place = self.model_id(model), self.target_id(target)
        terms, policy_hash = self.terms(on_chain, place)
        if terms is None and not for_break_glass:
            raise self._not_gated(model, target)
        longest = 86_400 if terms is None else terms.policy.expiry_s
        if open_for_s is not None and not 0 < open_for_s <= longest:
            raise InvalidInput(f"a proposal can be open for 1 to {longest} s here")
        if checks is not None:
            if checks.policy_hash != policy_hash:
                raise PromotionConflict("the policy was changed meanwhile; propose again")
            evidence = (*evidence, checks.evidence)
        if terms is not None and not for_break_glass:
            _check_evidence(terms, evidence)
        size = self._log.size() if evidence else 0
        for item in evidence:
            if item.leaf_index is not None and item.leaf_index >= size:
                raise InvalidInput(f"the log has no leaf {item.leaf_index} for evidence {item}")
        fields = ProposalFields(
            model=on_chain,
            target=place,
            version=version,
            digest=self.commitment(on_chain, version, model_digest),
            policy_hash=policy_hash,
            summary_hash=_NONE,
            evidence_hash=_NONE,
            evidence_kinds=0,
            deadline_s=self.now_s() + (open_for_s or longest),
            requester=requester,
            supersedes=supersedes or _NONE,
            nonce=new_nonce() if checks is None else checks.nonce,
        )
        name = to_names(self.users()).get(requester, "")
        names = ProposalNames(model, target, model_digest, name, tuple(evidence), checks)
        return complete_proposal(self.domain, fields, names, terms, new_salt_line())

    def write_rollback(
        self, former: ProposalDocument, *, open_for_s: int = 86_400
    ) -> ReturnDocument:
        """A return to the version that a proposal made current; nothing is sent or noted.

        Args:
            former: the proposal, promoted earlier.
            open_for_s: seconds until the signatures count no more.
        """
        fields, names = former.fields, former.names
        sequence = self.contract.current(fields.model, fields.target).sequence
        return complete_return(
            ReturnDocument(
                domain=self.domain,
                model=names.model,
                model_id=fields.model,
                target=names.target,
                target_id=fields.target,
                sequence=sequence,
                deadline_s=self.now_s() + open_for_s,
                former=former,
                summary="",
            ),
            new_salt_line(),
        )

    def write_removal(
        self, model: ModelIncarnation, target: Target, *, open_for_s: int = 86_400
    ) -> ReturnDocument:
        """A removal of what is current for a target; nothing is sent or noted."""
        on_chain, place = self.model_id(model), self.target_id(target)
        return complete_return(
            ReturnDocument(
                domain=self.domain,
                model=model,
                model_id=on_chain,
                target=target,
                target_id=place,
                sequence=self.contract.current(on_chain, place).sequence,
                deadline_s=self.now_s() + open_for_s,
                former=None,
                summary="",
            ),
            new_salt_line(),
        )

    def terms(self, model: Digest, target: Digest) -> tuple[PolicyTerms | None, Digest]:
        """The policy in force for a place, with its group's name if that is known, and its hash."""
        in_force = self.contract.policy(model, target)
        if in_force.policy is None:
            return None, in_force.policy_hash
        group = NameBook.read(self._log, self.salt).groups.get(in_force.policy.group, "")
        return PolicyTerms(group, in_force.policy, in_force.is_default), in_force.policy_hash

    def _not_gated(self, model: ModelIncarnation, target: Target) -> InvalidInput:
        on_chain = self.model_id(model)
        known = sorted(self.names().targets.values(), key=str)[:_SHOWN]
        gated = [
            escape_unprintable(str(one))
            for one in known
            if self.contract.policy(on_chain, self.target_id(one)).policy is not None
        ]
        return InvalidInput(
            f"no policy is in force for {target} of {model.name!r}: it is not gated "
            f"(gated: {', '.join(gated) or 'nothing yet'})"
        )


def _check_evidence(terms: PolicyTerms, evidence: Sequence[EvidenceItem]) -> None:
    missing = terms.policy.evidence_kinds & ~to_mask(item.kind for item in evidence)
    if missing:
        raise InvalidInput(
            f"the policy asks for evidence that is missing: {', '.join(to_kinds(missing))}"
        )
