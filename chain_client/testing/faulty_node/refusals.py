"""Refusals by JSON-RPC: limits, and what each client says about a transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chain_client.errors import InvalidInput
from chain_client.testing.faulty_node.exchange import Response
from chain_client.testing.faulty_node.fault import Fault, Passage

WORDINGS: dict[str, dict[str, tuple[int, str]]] = {
    "already_known": {
        "geth": (-32000, "already known"),
        "besu": (-32000, "Known transaction"),
        "erigon": (-32000, "ALREADY_EXISTS: already known"),
        "nethermind": (-32010, "AlreadyKnown"),
        "anvil": (-32003, "transaction already imported"),
        "hardhat": (
            -32000,
            "Known transaction: 0x1ea874a4712b33a7db9856626b00c9635ec14cb9f22e38979d90ae4b67b7eaa7",
        ),
    },
    "nonce_too_low": {
        "geth": (-32000, "nonce too low: next nonce 5, tx nonce 4"),
        "besu": (-32001, "Nonce too low"),
        "erigon": (-32000, "INTERNAL_ERROR: nonce too low"),
        "nethermind": (-32010, "OldNonce, Current nonce: 5, nonce of rejected tx: 4"),
        "anvil": (-32003, "nonce too low"),
        "hardhat": (
            -32000,
            "Nonce too low. Expected nonce to be 2 but got 1. Note that transactions can't be "
            "queued when automining.",
        ),
    },
    "underpriced": {
        "geth": (-32000, "replacement transaction underpriced"),
        "besu": (-32000, "Replacement transaction underpriced"),
        "erigon": (-32000, "INTERNAL_ERROR: could not replace existing tx"),
        "nethermind": (-32010, "ReplacementNotAllowed"),
        "anvil": (-32003, "replacement transaction underpriced"),
        "hardhat": (
            -32000,
            "Replacement transaction underpriced. A gasPrice/maxFeePerGas of at least "
            "22000000000 is necessary to replace the existing transaction with nonce 3.",
        ),
    },
}
"""What each client says when it refuses a transaction: (code, text), by kind and client."""

CLIENTS = ("geth", "besu", "erigon", "nethermind", "anvil", "hardhat")
"""Those whose wordings are known."""


@dataclass(frozen=True, slots=True)
class ErrorReply(Fault):
    """The calls that are hit get a JSON-RPC error.

    Args:
        code: such as -32005 (limit exceeded).
        message: its text.
        data: its data, if any.
        http_status: some clients send errors with 4xx or 5xx.
        forwarded: whether the node got the request all the same.
    """

    code: int
    message: str
    data: Any = None
    http_status: int = 200
    forwarded: bool = False

    def inject(self, passage: Passage) -> Response:
        request = passage.request
        if self.forwarded or not all(passage.is_hit(call) for call in request.calls):
            # Calls of the batch that are not hit have to be answered by the node.
            response = passage.change_answers(
                lambda call, answer: call.error(self.code, self.message, self.data)
            )
        else:
            errors = [call.error(self.code, self.message, self.data) for call in request.calls]
            response = request.answered(errors)
        return response.with_changes(status=self.http_status)


@dataclass(frozen=True, slots=True)
class LimitExceeded(Fault):
    """``-32005`` in a 200, as providers refuse what is too much for them (EIP-1474).

    Args:
        retry_after_s: seconds in the ``Retry-After`` header; None for no such header.
    """

    retry_after_s: float | None = None

    def inject(self, passage: Passage) -> Response:
        refused = ErrorReply(-32005, "limit exceeded").inject(passage)
        if self.retry_after_s is None:
            return refused
        headers = {**refused.headers, "Retry-After": str(round(self.retry_after_s))}
        return refused.with_changes(headers=headers)


@dataclass(frozen=True, slots=True)
class Refused(Fault):
    """A transaction is refused in the words of a client.

    Args:
        kind: ``already_known``, ``nonce_too_low`` or ``underpriced``.
        client: one of `CLIENTS`.
        forwarded: whether the node got it: then the refusal answers bytes that are on their way,
            as after a reply that was lost.
    """

    kind: str
    client: str = "geth"
    forwarded: bool = True

    def inject(self, passage: Passage) -> Response:
        try:
            code, message = WORDINGS[self.kind][self.client]
        except KeyError:
            known = ", ".join(WORDINGS)
            raise InvalidInput(f"expected one of {known} in the words of a known client") from None
        return ErrorReply(code, message, forwarded=self.forwarded).inject(passage)
