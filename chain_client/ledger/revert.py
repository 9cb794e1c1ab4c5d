"""Why a contract refused, in words.

Pure: revert data in, `ContractReverted` out. Values that Solidity's compiler adds by itself
(``Error(string)``, ``Panic(uint256)``) are known here, custom errors come from the ABI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from chain_client.errors import ContractReverted
from chain_client.ledger.abi import ContractAbi
from chain_client.shown_text import escape_unprintable
from chain_client.types import to_hex

_SHOWN_CHARS = 200

_BUILT_IN = ContractAbi(
    (
        {"type": "error", "name": "Error", "inputs": [{"name": "text", "type": "string"}]},
        {"type": "error", "name": "Panic", "inputs": [{"name": "code", "type": "uint256"}]},
    )
)


def explain_revert(
    revert_data: bytes,
    abi: ContractAbi,
    sentences: Mapping[str, str],
    show: Callable[[str, object], object] = lambda name, value: value,
) -> ContractReverted:
    """The error to raise for a contract's revert.

    Args:
        revert_data: what the contract returned.
        abi: declares the contract's custom errors.
        sentences: by error name, a sentence with the error's arguments in braces.
        show: makes an argument of a name what people read; bytes become hex after it.
    """
    found = abi.decode_error(revert_data)
    if found is not None:
        name, arguments = found
        shown = {key: show(key, value) for key, value in arguments.items()}
        for key, value in shown.items():
            if isinstance(value, bytes):
                shown[key] = to_hex(value)
            elif isinstance(value, str):
                shown[key] = _shown(value)
        if name in sentences:
            return ContractReverted(name, f"{name}: {sentences[name].format(**shown)}")
        listed = ", ".join(f"{key} {value}" for key, value in shown.items())
        return ContractReverted(name, f"the contract refused with {name} ({listed})")
    built_in = _BUILT_IN.decode_error(revert_data)
    if built_in is not None and built_in[0] == "Error":
        return ContractReverted("", f"the contract refused: {_shown(built_in[1]['text'])}")
    if built_in is not None:
        code = built_in[1]["code"]
        return ContractReverted("", f"the contract broke off with Solidity's panic 0x{code:02x}")
    if not revert_data:
        return ContractReverted("", "the contract broke off without a reason (or ran out of gas)")
    return ContractReverted(
        "", f"the contract refused with unknown data 0x{revert_data[:4].hex()}…"
    )


def _shown(text: str) -> str:
    """A contract's own words: whoever deployed it wrote them, or the node that answered."""
    shown = escape_unprintable(" ".join(text.split()))
    return shown if len(shown) <= _SHOWN_CHARS else shown[: _SHOWN_CHARS - 1] + "…"
