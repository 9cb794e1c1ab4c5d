"""Which words and codes of a refusal mean what: data for `replies`, in the order it is tried.

An entry is a fragment in lower case that begins where a word begins; parts joined by `` + `` must
all occur. The wordings they come from stand, with source and release, in
``tests/unit/chain_client/ledger/replies_corpus.toml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

Table: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]

SEND_CODES: Final[Mapping[int, str]] = {
    3: "reverted",
    -38010: "nonce_too_low",
    -38011: "nonce_gap",
    -38012: "fee_too_low",
    -38013: "gas_limit",
    -38014: "insufficient_funds",
    -38015: "gas_limit",
}
"""Codes that mean the same in every client (ethereum/execution-apis)."""

READ_CODES: Final[Mapping[int, str]] = {
    3: "reverted",
    -32015: "reverted",
    4444: "history_missing",
    -39001: "block_missing",
}

SEND_CODES_OF: Final[Mapping[str, Mapping[int, str]]] = {
    "besu": {
        -32001: "nonce_too_low",
        -32003: "gas_limit",
        -32004: "insufficient_funds",
        -32005: "gas_limit",
        -32006: "nonce_gap",
        -32008: "unavailable",
        -32009: "fee_too_low",
    },
}
"""Codes of one client that mean something else elsewhere, by how its version begins; tried when
the words are not known."""

SENDS: Final[Table] = (
    # First: what follows these words are a contract's own.
    ("reverted", ("execution reverted", "vm exception", "transaction reverted")),
    (
        "known",
        (
            "already known",
            "alreadyknown",
            "already imported",
            "known transaction",
            "existing txn with same hash",
            "same hash was already imported",
        ),
    ),
    (
        "underpriced",
        (
            "replacement transaction underpriced",
            "could not replace existing tx",
            "to replace existing transaction",
            "replacementnotallowed",
            "ownnoncealreadyused",
            "another transaction with same nonce",
        ),
    ),
    (
        "nonce_too_low",
        (
            "nonce too low",
            "nonce is too low",
            "oldnonce",
            "invalid transaction nonce",
        ),
    ),
    (
        "pool_full",
        (
            "txpool is full",
            "pool is full",
            "sub-pool is full",
            "tx pool full",
            "queue full",
            "pool size constraints",
            "too many transactions in the queue",
            "account limit exceeded",
            "spammer",
            "in-flight transaction limit",
            "future transaction tries to replace pending",
        ),
    ),
    (
        "nonce_gap",
        (
            "nonce too high",
            "nonce is too distant",
            "nonce too far",
            "noncetoofarinfuture",
            "noncegap",
            "gapped-nonce",
            "transaction with a lower nonce exists",
        ),
    ),
    (
        "insufficient_funds",
        (
            "insufficient funds",
            "insufficientfunds",
            "insufficient balance",
            "upfront cost exceeds account balance",
            "enough funds",
            "overdraws from account",
        ),
    ),
    (
        "fee_too_low",
        (
            "transaction underpriced",
            "underpriced",
            "fee too low",
            "fee_too_low",
            "feetoolow",
            "gas price below",
            "gas price too low",
            "gas price is too low",
            "gas price is + below the minimum",
            "fee per gas less than block base fee",
            "below current base fee",
            "below chain minimum",
            "too low for the next block",
        ),
    ),
    (
        "gas_limit",
        (
            "intrinsic gas",
            "intrinsicgas",
            "exceeds block gas limit",
            "gas limit + exceeds",
            "gas limit reached",
            "gas limit is too high",
            "gas limit too high",
            "gas limit is greater than",
            "gaslimitexceeded",
            "txgaslimitcapexceeded",
            "insufficient gas for floor data",
            "requires at least + gas",
        ),
    ),
    (
        "wrong_chain",
        (
            "chain id",
            "chainid",
            "invalidtxchainid",
            "incompatible eip-155",
            "replay-protected",
        ),
    ),
    (
        "invalid_signature",
        (
            "invalid sender",
            "invalid signature",
            "invalidtxsignature",
            "failed to recover",
            "failedtoresolvesender",
            "invalid transaction v, r, s",
        ),
    ),
    ("unavailable", ("sync is still in progress", "syncing", "pool not enabled")),
)

REVERTS: Final[Table] = (
    ("insufficient_funds", ("gas required exceeds allowance (0)",)),
    (
        "reverted",
        (
            "execution reverted",
            "vm execution error",
            "vm exception",
            "transaction reverted",
            "evm error",
            "invalid opcode",
            "invalid jump",
            "stack underflow",
            "write protection",
            "gas required exceeds",
            "out of gas",
        ),
    ),
)
"""Tried before `READS`: what follows these words are a contract's own."""

READS: Final[Table] = (
    (
        "range_too_large",
        (
            "range + exceed",
            "range + limited to",
            "range + up to",
            "range + too large",
            "range + too wide",
            "ranges over",
            "maximum block range",
            "query returned more than",
            "query returns too many",
            "too many logs",
            "too many results",
            "query exceeds max results",
            "response size",
            "response too large",
            "response is too big",
            "query timeout exceeded",
        ),
    ),
    (
        "history_missing",
        (
            "missing trie node",
            "historical state",
            "state + is not available",
            "state unavailable",
            "no state available",
            "not available due to pruning",
            "pruned",
            "data before + is not available",
            "maximum proof window",
            "archive",
        ),
    ),
    ("tag_unset", ("finalized block not found", "safe block not found")),
    ("tag_unknown", ("block tag is not allowed",)),
    (
        "block_missing",
        (
            "header not found",
            "header for + not found",
            "unknown block",
            "block not found",
            "block + not found",
            "could not be found",
            "resource not found",
            "block range extends beyond",
            "beyond latest executed block",
            "blockoutofrangeerror",
            "invalid block tag",
        ),
    ),
    (
        "method_missing",
        (
            "method not found",
            "method not enabled",
            "method + not supported",
            "method + does not exist",
            "method + not available",
            "method + not allowed",
            "method + not whitelisted",
        ),
    ),
    ("insufficient_funds", ("insufficient funds", "enough funds", "upfront cost exceeds")),
)

EITHER: Final[Table] = (
    (
        "rate_limited",
        (
            "rate limit",
            "rate limited",
            "rate-limit",
            "too many requests",
            "request rate",
            "compute units",
            "capacity limit",
            "daily request count",
            "limit exceeded",
            "max batch size",
        ),
    ),
    (
        "unavailable",
        (
            "timeout",
            "timed out",
            "execution aborted",
            "syncing",
            "internal error",
            "internal server error",
            "indexing is in progress",
        ),
    ),
)
