"""The Solidity ABI: the specification's own examples, and what must be refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_client.errors import InvalidInput
from chain_client.ledger.abi import ContractAbi
from chain_client.ledger.artifacts import AbiEntry
from chain_client.ledger.base import EventRecord
from chain_client.types import Address, Digest, TxHash
from tests.strategies import examples

ADDRESS = Address(bytes(range(20)))


def parameters(*types: str) -> list[AbiEntry]:
    return [{"name": f"p{i}", "type": kind} for i, kind in enumerate(types)]


def function(name: str, *inputs: str, outputs: tuple[str, ...] = ()) -> AbiEntry:
    return {
        "type": "function",
        "name": name,
        "inputs": parameters(*inputs),
        "outputs": parameters(*outputs),
    }


def one(*types: str) -> ContractAbi:
    """A contract whose function ``f`` takes and returns these."""
    return ContractAbi([function("f", *types, outputs=types)])


def words(*values: int | str | bytes) -> str:
    """Words of 32 bytes in hex: numbers to the right, text and bytes to the left."""
    text = ""
    for value in values:
        if isinstance(value, int):
            text += value.to_bytes(32, "big").hex()
        else:
            data = value.encode() if isinstance(value, str) else value
            text += data.ljust(32, b"\0").hex()
    return text


# https://docs.soliditylang.org/en/latest/abi-spec.html, "Examples" and "Use of Dynamic Types"
SPECIFIED = [
    ("baz", ("uint32", "bool"), (69, True), "cdcd77c0" + words(69, 1)),
    ("bar", ("bytes3[2]",), ([b"abc", b"def"],), "fce353f6" + words("abc", "def")),
    (
        "sam",
        ("bytes", "bool", "uint256[]"),
        (b"dave", True, [1, 2, 3]),
        "a5643bf2" + words(0x60, 1, 0xA0, 4, "dave", 3, 1, 2, 3),
    ),
    (
        "f",
        ("uint256", "uint32[]", "bytes10", "bytes"),
        (0x123, [0x456, 0x789], b"1234567890", b"Hello, world!"),
        "8be65246" + words(0x123, 0x80, "1234567890", 0xE0, 2, 0x456, 0x789, 0xD, "Hello, world!"),
    ),
    (
        "g",
        ("uint256[][]", "string[]"),
        ([[1, 2], [3]], ["one", "two", "three"]),
        "2289b18c"
        + words(0x40, 0x140, 2, 0x40, 0xA0, 2, 1, 2, 1, 3)
        + words(3, 0x60, 0xA0, 0xE0, 3, "one", 3, "two", 5, "three"),
    ),
]


@pytest.mark.parametrize(
    ("name", "types", "values", "expected"), SPECIFIED, ids=[row[0] for row in SPECIFIED]
)
def test_the_specifications_examples_are_encoded(
    name: str, types: tuple[str, ...], values: tuple[object, ...], expected: str
) -> None:
    assert ContractAbi([function(name, *types)]).encode_call(name, *values).hex() == expected


@pytest.mark.parametrize(
    ("name", "types", "values", "encoded"), SPECIFIED, ids=[row[0] for row in SPECIFIED]
)
def test_the_specifications_examples_are_decoded(
    name: str, types: tuple[str, ...], values: tuple[object, ...], encoded: str
) -> None:
    abi = ContractAbi([function(name, outputs=types)])
    assert listed(abi.decode_result(name, bytes.fromhex(encoded[8:]))) == listed(values)


def listed(value: object) -> object:
    """With lists for tuples, all the way down."""
    return [listed(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("signature", "types", "selector"),
    [  # ERC-20 and ERC-165, whose selectors everybody knows
        ("transfer", ("address", "uint256"), "a9059cbb"),
        ("balanceOf", ("address",), "70a08231"),
        ("approve", ("address", "uint256"), "095ea7b3"),
        ("supportsInterface", ("bytes4",), "01ffc9a7"),
    ],
)
def test_selectors_are_those_of_known_functions(
    signature: str, types: tuple[str, ...], selector: str
) -> None:
    values = {"address": ADDRESS, "uint256": 1, "bytes4": b"\1\2\3\4"}
    call = ContractAbi([function(signature, *types)]).encode_call(
        signature, *(values[kind] for kind in types)
    )
    assert call[:4].hex() == selector


def test_a_struct_is_the_tuple_of_its_members() -> None:
    abi = ContractAbi(
        [
            {
                "type": "function",
                "name": "f",
                "inputs": [
                    {
                        "name": "items",
                        "type": "tuple[]",
                        "components": [
                            {"name": "who", "type": "address"},
                            {"name": "what", "type": "bytes32"},
                        ],
                    }
                ],
            }
        ]
    )
    same = one("(address,bytes32)[]")
    values = [(ADDRESS, b"\7" * 32), (ADDRESS, b"\1" * 32)]
    call = abi.encode_call("f", values)
    assert call == same.encode_call("f", values)
    assert same.decode_result("f", call[4:]) == (tuple(values),)


@pytest.mark.parametrize("types", [("address",), ("address[]",), ("address[2][]", "bytes20")])
def test_an_address_is_20_bytes_wherever_it_stands(types: tuple[str, ...]) -> None:
    values: dict[str, object] = {
        "address": ADDRESS,
        "address[]": (ADDRESS, ADDRESS),
        "address[2][]": ((ADDRESS, ADDRESS),),
        "bytes20": bytes(ADDRESS),
    }
    given = tuple(values[kind] for kind in types)
    abi = one(*types)
    assert abi.decode_result("f", abi.encode_call("f", *given)[4:]) == given


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint64", -1),
        ("uint64", 2**64),
        ("uint64", True),
        ("uint64", "1"),
        ("uint64", 1.0),
        ("bool", 1),
        ("bytes32", b"\1" * 31),
        ("bytes32", b"\1" * 33),
        ("bytes32", "0x" + "01" * 32),
        ("bytes32[]", [b"\1" * 32, b"\1"]),
        ("bytes32[]", b"\1" * 32),
        ("bytes32[2]", [b"\1" * 32]),
        ("bytes3[2]", [b"abc", b"de"]),
        ("address", b"\1" * 19),
        ("address", b"\1" * 21),
        ("address[]", [b"\1" * 19]),
        ("(address,uint8)", (ADDRESS,)),
        ("(address,uint8)", (ADDRESS, 256)),
        ("bytes", "text"),
        ("string", b"bytes"),
        ("uint64", [1]),
        ("uint64", None),
    ],
)
def test_a_value_of_another_type_or_size_is_refused(kind: str, value: object) -> None:
    with pytest.raises(InvalidInput, match="an argument of f has the wrong type or size"):
        one(kind).encode_call("f", value)


@pytest.mark.parametrize("values", [(), (1, 2)])
def test_a_wrong_number_of_arguments_is_refused(values: tuple[object, ...]) -> None:
    with pytest.raises(InvalidInput, match="f takes 1 arguments, got"):
        one("uint64").encode_call("f", *values)


@given(st.binary(max_size=200), st.sampled_from([row[1] for row in SPECIFIED]))
@settings(max_examples=examples(60))
def test_decoding_any_bytes_gives_values_or_a_refusal(data: bytes, types: tuple[str, ...]) -> None:
    try:
        values = one(*types).decode_result("f", data)
    except InvalidInput:
        return
    assert len(values) == len(types)


EVENT: AbiEntry = {
    "type": "event",
    "name": "Moved",
    "inputs": [
        {"name": "who", "type": "address", "indexed": True},
        {"name": "amount", "type": "uint64", "indexed": False},
        {"name": "log", "type": "bytes32", "indexed": True},
    ],
}


def record(topics: tuple[bytes, ...], data: bytes) -> EventRecord:
    return EventRecord(ADDRESS, tuple(map(Digest, topics)), data, 1, TxHash(bytes(32)))


def test_an_events_arguments_are_found_by_name() -> None:
    abi = ContractAbi([EVENT])
    topics = (abi.event_topic("Moved"), bytes(12) + ADDRESS, b"\7" * 32)
    found = abi.decode_event("Moved", record(topics, (9).to_bytes(32, "big")))
    assert found == {"who": ADDRESS, "amount": 9, "log": b"\7" * 32}


def test_a_known_events_topic() -> None:
    transfer: AbiEntry = {
        "type": "event",
        "name": "Transfer",
        "inputs": parameters("address", "address", "uint256"),
    }
    assert ContractAbi([transfer]).event_topic("Transfer").hex() == (
        "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    )


@pytest.mark.parametrize(
    ("topics", "data"),
    [
        ((), b"\0" * 32),
        ((b"\1" * 32, bytes(32), bytes(32)), bytes(32)),
        ((ContractAbi([EVENT]).event_topic("Moved"),), bytes(32)),
        ((ContractAbi([EVENT]).event_topic("Moved"), bytes(32), bytes(32)), b""),
        ((ContractAbi([EVENT]).event_topic("Moved"), b"\1" * 32, bytes(32)), bytes(32)),
    ],
)
def test_a_record_of_something_else_is_refused(topics: tuple[bytes, ...], data: bytes) -> None:
    with pytest.raises(InvalidInput):
        ContractAbi([EVENT]).decode_event("Moved", record(topics, data))


def test_unknown_and_damaged_errors_are_told_from_known_ones() -> None:
    entry: AbiEntry = {
        "type": "error",
        "name": "Error",
        "inputs": [{"name": "text", "type": "string"}],
    }
    abi = ContractAbi([entry])
    data = bytes.fromhex("08c379a0" + words(0x20, 4, "nope"))  # the selector of Error(string)
    assert abi.decode_error(data) == ("Error", {"text": "nope"})
    for other in (b"", data[:3], data[:40], b"\1\2\3\4" + data[4:]):
        assert abi.decode_error(other) is None
