"""Solidity ABI: calls, results, events and errors of a contract, by name.

Values are plain: ints, bytes, bools, strings, lists; an address is 20 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from chain_client.errors import InvalidInput
from chain_client.ledger.artifacts import AbiEntry, load_artifact
from chain_client.ledger.base import EventRecord
from chain_client.signing.keccak import keccak256
from chain_client.types import Address, Digest, to_hex


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    type: str
    indexed: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    """A function, event or error."""

    name: str
    inputs: tuple[_Parameter, ...]
    outputs: tuple[_Parameter, ...]

    def hash(self) -> bytes:
        """keccak-256 of the signature, such as ``head(bytes32)``."""
        types = ",".join(parameter.type for parameter in self.inputs)
        return keccak256(f"{self.name}({types})".encode("ascii"))


class ContractAbi:
    """Encodes and decodes for one contract.

    Args:
        entries: the contract's ABI as Solidity's JSON has it.
    """

    def __init__(self, entries: Sequence[AbiEntry]) -> None:
        self._functions = _by_name(entries, "function")
        self._events = _by_name(entries, "event")
        self._events_by_topic = {entry.hash(): name for name, entry in self._events.items()}
        self._errors = {entry.hash()[:4]: entry for entry in _by_name(entries, "error").values()}
        constructors = [_entry(entry) for entry in entries if entry["type"] == "constructor"]
        self._constructor = constructors[0].inputs if constructors else ()

    def encode_call(self, function: str, *args: object) -> bytes:
        """Call data of a function: selector and arguments.

        Raises:
            InvalidInput: an argument is not of the function's type.
        """
        entry = self._functions[function]
        return entry.hash()[:4] + _encode(function, entry.inputs, args)

    def encode_constructor(self, *args: object) -> bytes:
        """What follows the bytecode in a deployment."""
        return _encode("constructor", self._constructor, args)

    def decode_result(self, function: str, data: bytes) -> tuple[Any, ...]:
        """Return values of a function.

        Raises:
            InvalidInput: the data is not what this function returns.
        """
        return _decode(function, self._functions[function].outputs, data)

    def event_topic(self, event: str) -> Digest:
        """First topic of an event's records."""
        return Digest(self._events[event].hash())

    def find_event(self, record: EventRecord) -> str | None:
        """Name of the event that a record is of; None if the contract declares no such event."""
        return self._events_by_topic.get(record.topics[0]) if record.topics else None

    def decode_event(self, event: str, record: EventRecord) -> dict[str, Any]:
        """Arguments of an event's record, by name.

        Raises:
            InvalidInput: the record is not of this event.
        """
        entry = self._events[event]
        indexed = [parameter for parameter in entry.inputs if parameter.indexed]
        if not record.topics or record.topics[0] != entry.hash():
            raise InvalidInput(f"the record is no event {event}")
        values = dict(
            zip(
                (parameter.name for parameter in indexed),
                _decode(event, indexed, b"".join(record.topics[1:])),
            )
        )
        plain = [parameter for parameter in entry.inputs if not parameter.indexed]
        names = (parameter.name for parameter in plain)
        return values | dict(zip(names, _decode(event, plain, record.data)))

    def decode_error(self, revert_data: bytes) -> tuple[str, Mapping[str, Any]] | None:
        """Name and arguments of a custom error; None if the contract declares no such error."""
        entry = self._errors.get(revert_data[:4])
        if entry is None:
            return None
        try:
            values = _decode(entry.name, entry.inputs, revert_data[4:])
        except InvalidInput:
            return None
        return entry.name, dict(zip((parameter.name for parameter in entry.inputs), values))


@cache
def load_abi(contract: str) -> ContractAbi:
    """ABI of a shipped contract; read once a process."""
    return ContractAbi(load_artifact(contract).abi)


def _by_name(entries: Sequence[AbiEntry], kind: str) -> dict[str, _Entry]:
    return {
        found.name: found for found in (_entry(entry) for entry in entries if entry["type"] == kind)
    }


def _entry(entry: AbiEntry) -> _Entry:
    return _Entry(
        name=str(entry.get("name", "")),
        inputs=_parameters(entry.get("inputs", [])),
        outputs=_parameters(entry.get("outputs", [])),
    )


def _parameters(items: Any) -> tuple[_Parameter, ...]:
    return tuple(
        _Parameter(str(item["name"]), _type(item), bool(item.get("indexed"))) for item in items
    )


def _type(item: Mapping[str, Any]) -> str:
    """Canonical type; a struct is the tuple of its members' types."""
    kind = str(item["type"])
    if not kind.startswith("tuple"):
        return kind
    members = ",".join(_type(member) for member in item["components"])
    return f"({members}){kind.removeprefix('tuple')}"


def _encode(what: str, parameters: Sequence[_Parameter], args: Sequence[object]) -> bytes:
    from eth_abi import encode
    from eth_abi.exceptions import EncodingError
    from eth_abi.grammar import parse

    if len(args) != len(parameters):
        raise InvalidInput(f"{what} takes {len(parameters)} arguments, got {len(args)}")
    types = [parameter.type for parameter in parameters]
    try:
        return bytes(encode(types, [_shown(arg, parse(kind)) for arg, kind in zip(args, types)]))
    except (EncodingError, TypeError) as exc:
        raise InvalidInput(f"an argument of {what} has the wrong type or size: {exc}") from exc


def _shown(value: Any, kind: Any) -> Any:
    """As eth_abi takes it: an address in hex, and fixed bytes of just their size."""
    if isinstance(value, list | tuple):
        return _each(_shown, value, kind)
    if isinstance(value, bytes) and kind.to_type_str() == "address":
        return to_hex(value)
    size = kind.sub if getattr(kind, "base", "") == "bytes" else None
    if isinstance(value, bytes) and size not in (None, len(value)):  # eth_abi would fill it up
        raise TypeError(f"{kind.to_type_str()} has {size} bytes, got {len(value)}")
    return value


def _plain(value: Any, kind: Any) -> Any:
    """As we give it: an address in bytes."""
    if isinstance(value, list | tuple):
        return _each(_plain, value, kind)
    if kind.to_type_str() == "address":
        return Address(bytes.fromhex(value[2:]))
    return value


def _each(
    change: Callable[[Any, Any], Any], values: list[Any] | tuple[Any, ...], kind: Any
) -> list[Any] | tuple[Any, ...]:
    """Change the items of an array, or the members of a struct."""
    kinds = [kind.item_type] * len(values) if kind.is_array else getattr(kind, "components", ())
    if len(kinds) != len(values):
        raise TypeError(f"{len(values)} values are no {kind.to_type_str()}")
    return type(values)(change(value, inner) for value, inner in zip(values, kinds))


def _decode(what: str, parameters: Sequence[_Parameter], data: bytes) -> tuple[Any, ...]:
    from eth_abi import decode
    from eth_abi.exceptions import DecodingError
    from eth_abi.grammar import parse

    types = [parameter.type for parameter in parameters]
    try:
        values = decode(types, data)
    except (DecodingError, OverflowError, ValueError) as exc:
        raise InvalidInput(f"these {len(data)} bytes are not what {what} has") from exc
    return tuple(_plain(value, parse(kind)) for value, kind in zip(values, types))
