"""JSON read strictly and bounded, written without ever failing."""

import json

import pytest
from hypothesis import given

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.order import JSONValue
from galaxy_core.wire.json_text import MAX_DEPTH, read_object, write_line, write_object
from tests.unit.galaxy_core.wire.strategies import objects, outside_bytes


def nested(depth: int) -> bytes:
    """An object with lists inside one another, `depth` levels in all."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"{", "at line 1, column 2"),
        (b'{"a": 1}\n{"b": 2}', "Extra data at line 2, column 1"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b'{"a": -Infinity}', "-Infinity is not a number"),
        (b'{"a": 1e999}', "a number is too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "4300 digits"),
        (b"[1]", "holds a list"),
        (b"null", "holds null"),
        (b'{"a": "\xff"}', "not text in UTF-8 (at byte 7)"),
        (b"\xff\xfe{", "not text in UTF-8"),
        (nested(MAX_DEPTH + 1), "more than 100 levels"),
        (nested(100_000), "more than 100 levels"),
        (b'{"a":' * 100_000, "more than 100 levels"),
    ],
)
def test_unreadable(data: bytes, words: str) -> None:
    """What is not one JSON object is unreadable, with the place and without the content."""
    with pytest.raises(UnreadableFile) as caught:
        read_object(data, name="order.json")
    assert words in str(caught.value)
    assert str(caught.value).startswith("order.json ")
    assert len(str(caught.value)) < 200


def test_deep_enough() -> None:
    """The deepest object that is read can be written."""
    value = read_object(nested(MAX_DEPTH), name="x")
    assert json.loads(write_object(value)) == value


def test_many_brackets_are_not_deep() -> None:
    """A long flat file is no deep one."""
    value = read_object(json.dumps({"a": [[], {}] * 5000}).encode(), name="x")
    assert len(write_object(value)) > 10_000


@given(objects)
def test_what_is_written_is_read(members: dict[str, JSONValue]) -> None:
    """Every object survives, as a document and as a line."""
    for data in (write_object(members), write_line(members)):
        assert read_object(data, name="x") == members
        assert data.endswith(b"\n")
    assert write_line(members).count(b"\n") == 1


@given(outside_bytes)
def test_outside_bytes(data: bytes) -> None:
    """Any bytes at all are an object or unreadable, and an object can be written again."""
    try:
        value = read_object(data, name="x")
    except UnreadableFile:
        return
    assert read_object(write_object(value), name="x") == value
