"""Which words of a node's refusal mean what: data for `replies`, in the order it is tried.

Every entry is a fragment in lower case. The wordings they come from stand, with source and
release, in ``tests/unit/chain_client/ledger/replies_corpus.toml``.
"""

from __future__ import annotations

from typing import Final

SENDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "known",
        (
            "already known",
            "alreadyknown",
            "known transaction",
            "transaction_already_known",
            "already imported",
            "already exist",
        ),
    ),
    (
        "underpriced",
        (
            "replacement transaction underpriced",
            "could not replace existing tx",
            "replacement_underpriced",
            "transaction_replacement_underpriced",
            "replacementnotallowed",
            "replacement transaction",
            "insufficient fee for replacement",
        ),
    ),
    (
        "nonce_too_low",
        (
            "nonce too low",
            "nonce_too_low",
            "nonce below current",
            "oldnonce",
            "nonce already used",
        ),
    ),
    (
        "nonce_gap",
        (
            "nonce too high",
            "nonce_too_high",
            "nonce too distant",
            "nonce_too_far",
            "noncegap",
            "nonce gap",
            "gapped nonce",
            "in-flight transaction limit",
        ),
    ),
    (
        "insufficient_funds",
        (
            "insufficient funds",
            "insufficientfunds",
            "insufficient balance",
            "upfront cost exceeds",
            "upfront_cost_exceeds",
            "doesn't have enough funds",
            "overshot",
        ),
    ),
    (
        "fee_too_low",
        (
            "transaction underpriced",
            "underpriced",
            "fee too low",
            "feetoolow",
            "gas price below",
            "gas_price_too_low",
            "less than block base fee",
            "too low to be included",
            "max fee per gas less",
        ),
    ),
    (
        "gas_limit",
        (
            "intrinsic gas",
            "gaslimitexceeded",
            "exceeds block gas limit",
            "exceeds_block_gas_limit",
            "gas limit",
        ),
    ),
    (
        "wrong_chain",
        ("invalid chain id", "wrong chain", "chain id", "chainid", "replay-protected"),
    ),
    ("invalid_signature", ("invalid sender", "invalid signature", "invalid transaction v, r, s")),
    ("pool_full", ("txpool is full", "pool is full", "txpool_full")),
    ("reverted", ("execution reverted", "reverted", "revert")),
)

READS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("reverted", ("execution reverted", "vm execution error", "reverted with", "without a reason")),
    (
        "history_missing",
        ("missing trie node", "historical state", "state is not available", "pruned"),
    ),
    (
        "range_too_large",
        ("query returned more than", "block range", "range limit", "too many results"),
    ),
    ("tag_unset", ("finalized block not found", "safe block not found")),
    ("block_missing", ("header not found", "unknown block", "block not found")),
    ("method_missing", ("method not found", "does not exist/is not available", "not supported")),
    ("insufficient_funds", ("insufficient funds",)),
)

EITHER: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("rate_limited", ("rate limit", "too many requests", "limit exceeded", "daily request count")),
    ("unavailable", ("timeout", "timed out", "syncing", "internal error")),
)
