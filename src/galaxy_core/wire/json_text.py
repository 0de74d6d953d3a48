"""JSON as this protocol reads and writes it: one object, strict where it must be, never a crash.

Reading is bounded in depth, so that whatever was read can also be written again from any place
in the program; writing never fails on a lone surrogate, which JSON can carry and UTF-8 cannot.
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Callable, Iterator
from typing import NoReturn

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.order import JSONObject, JSONValue

__all__ = ["MAX_DEPTH", "read_object", "write_line", "write_object"]

MAX_DEPTH = 100
"""Objects and lists inside one another.  Python's own limit is about ten times that, but counts
the caller's frames too: a file that can just be read could not be written back."""

# UTF-32's mark begins with UTF-16's, so it is asked for first.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS: dict[type, str] = {
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number in JSON")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number is too large")
    return value


# Made once: json.loads() and json.dumps() with options build a new one at each call.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_ASCII_ENCODER = json.JSONEncoder(allow_nan=False)
_quoted: Callable[[str], str] = json.encoder.encode_basestring
_quoted_ascii: Callable[[str], str] = json.encoder.encode_basestring_ascii
_BOOLS = ("false", "true")
# One member a line in a single call of the C encoder, which knows no indentation.
_FLAT_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",\n  ", ": "))


def read_object(data: bytes, *, name: str) -> dict[str, JSONValue]:
    """Read one JSON object (UTF-8; UTF-16 and UTF-32 with their byte order mark).

    Of a key that is given twice the last value counts.  Raises `UnreadableFile` with a sentence
    that names `name` and the place of the fault, and quotes nothing of the content.
    """
    try:
        text = _decode(data)
        value: JSONValue = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        if not data.strip():
            raise UnreadableFile(f"{name} is empty.") from None
        raise UnreadableFile(
            f"{name} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    except UnicodeDecodeError as error:
        raise UnreadableFile(f"{name} is not text in UTF-8 (at byte {error.start}).") from None
    except ValueError as error:
        raise UnreadableFile(f"{name} is not JSON: {_first_sentence(error)}.") from None
    except RecursionError:
        raise UnreadableFile(_too_deep(name)) from None
    if not isinstance(value, dict):
        raise UnreadableFile(f"{name} holds {_KINDS[type(value)]} and not a JSON object.")
    # Only a text with that many brackets can be that deep.
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise UnreadableFile(_too_deep(name))
    return value


def write_object(value: JSONObject) -> bytes:
    """Write an object for people and programs: UTF-8, one member a line, a line break at the end.

    Raises `ValueError` for NaN and infinities.
    """
    plain = dict(value)
    if not plain:
        return b"{}\n"
    is_flat = not any(type(member) is dict or type(member) is list for member in plain.values())
    try:
        body = _FLAT_ENCODER.encode(plain)[1:-1] if is_flat else _members(plain, _ENCODER, _quoted)
        data = body.encode()
    except UnicodeEncodeError:
        data = _members(plain, _ASCII_ENCODER, _quoted_ascii).encode()
    return b"{\n  " + data + b"\n}\n"


def write_line(value: JSONObject) -> bytes:
    """Write an object as one line of a log, in ASCII, with its line break."""
    return _ASCII_ENCODER.encode(dict(value)).encode() + b"\n"


def _members(
    value: dict[str, JSONValue], encoder: json.JSONEncoder, quoted: Callable[[str], str]
) -> str:
    """One member a line; most are words or numbers, which need no encoder (3 to 6 µs each)."""
    lines = []
    for key, member in value.items():
        kind = type(member)
        if kind is str:
            text = quoted(member)  # type: ignore[arg-type]  # a str
        elif kind is int:
            text = str(member)
        else:
            text = _BOOLS[member] if kind is bool else encoder.encode(member)  # type: ignore[index]
        lines.append(f"{quoted(key)}: {text}")
    return ",\n  ".join(lines)


def _decode(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding)
    return data.decode()


def _first_sentence(error: ValueError) -> str:
    # The limit on the digits of an int explains at length how to lift it.
    return str(error).partition(";")[0].partition(": value has")[0]


def _too_deep(name: str) -> str:
    return f"{name} is nested more than {MAX_DEPTH} levels deep."


def _depth(value: JSONValue) -> int:
    deepest = 0
    open_levels: list[Iterator[JSONValue]] = [iter([value])]
    while open_levels:
        for item in open_levels[-1]:
            if isinstance(item, dict):
                open_levels.append(iter(item.values()))
                break
            if isinstance(item, list):
                open_levels.append(iter(item))
                break
        else:
            open_levels.pop()
        deepest = max(deepest, len(open_levels) - 1)
    return deepest
