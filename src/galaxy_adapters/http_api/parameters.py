"""Parameters of operations: how they are read, and how the OpenAPI document describes them.

A parameter that nobody knows is refused: a misspelt filter would otherwise be no filter at all.
"""

from __future__ import annotations

import enum
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from attrs import field, frozen
from starlette.requests import Request

from galaxy_adapters._web.problems import Problem
from galaxy_core.domain.errors import OrderNotFound
from galaxy_core.domain.ids import OrderId, why_not_an_order_id
from galaxy_core.wire.times import HOW_TO_WRITE_TIMES, read_time

__all__ = [
    "Choice",
    "Choices",
    "Number",
    "OrderIdentifier",
    "Parameter",
    "Text",
    "Time",
    "check_query",
]

T_co = TypeVar("T_co", covariant=True)
E = TypeVar("E", bound=enum.StrEnum)

BAD_REQUEST = 400


class Parameter(Protocol[T_co]):
    """One input that stands in the address or in a header."""

    @property
    def name(self) -> str:
        """As callers write it."""
        ...

    @property
    def place(self) -> str:
        """`query`, `path` or `header`."""
        ...

    @property
    def description(self) -> str:
        """One sentence."""
        ...

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """What may be written."""

    @abstractmethod
    def read(self, request: Request) -> T_co:
        """What was written.  Raises `Problem`."""


def _raw(request: Request, parameter: Parameter[object]) -> str | None:
    """The one text given, or None; a second one would be silently lost, so it is refused."""
    if parameter.place == "path":
        return str(request.path_params[parameter.name])
    source = request.query_params if parameter.place == "query" else request.headers
    values: Sequence[str] = source.getlist(parameter.name)
    if len(values) > 1:
        raise Problem(
            BAD_REQUEST, f"`{parameter.name}` is given {len(values)} times: give it once."
        )
    return values[0] if values else None


@frozen(kw_only=True)
class Text(Parameter[str | None]):
    """A short text; empty counts as absent."""

    name: str
    description: str
    place: str = "query"
    max_length: int = 1_000

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "maxLength": self.max_length}

    def read(self, request: Request) -> str | None:
        value = _raw(request, self)
        if value is not None and len(value) > self.max_length:
            raise Problem(
                BAD_REQUEST,
                f"`{self.name}` has {len(value):,} characters: write at most {self.max_length:,}.",
            )
        return value or None


@frozen(kw_only=True)
class Number(Parameter[float]):
    """A number within bounds."""

    name: str
    description: str
    default: int
    least: int
    most: int
    is_whole: bool = True
    place: str = "query"

    def schema(self) -> dict[str, Any]:
        return {
            "type": "integer" if self.is_whole else "number",
            "minimum": self.least,
            "maximum": self.most,
            "default": self.default,
        }

    def read(self, request: Request) -> float:
        text = _raw(request, self)
        if text is None:
            return self.default
        try:
            value = int(text) if self.is_whole else float(text)
        except ValueError:
            value = float("nan")
        # Digits of other scripts, underscores and the like are numbers to Python only.
        if text.isascii() and "_" not in text and self.least <= value <= self.most:
            return value
        kind = "a whole number" if self.is_whole else "a number"
        raise Problem(
            BAD_REQUEST, f"`{self.name}` must be {kind} from {self.least} to {self.most:,}."
        )


@frozen(kw_only=True)
class Time(Parameter[datetime | None]):
    """A point in time."""

    name: str
    description: str
    place: str = "query"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": "date-time"}

    def read(self, request: Request) -> datetime | None:
        text = _raw(request, self)
        if not text:
            return None
        try:
            # The plus of an offset is a space in a query that was not escaped.
            return read_time(text.replace(" ", "+") if "T" in text else text)
        except ValueError:
            raise Problem(
                BAD_REQUEST, f"`{self.name}` is no time that can be read: {HOW_TO_WRITE_TIMES}."
            ) from None


def _member(kind: type[E], name: str, text: str) -> E:
    try:
        return kind(text)
    except ValueError:
        words = ", ".join(member.value for member in kind)
        raise Problem(
            BAD_REQUEST, f"`{name}` is no word known here: write one of {words}."
        ) from None


@frozen(kw_only=True)
class Choice(Parameter[E | None], Generic[E]):
    """One word of a list."""

    name: str
    description: str
    kind: type[E]
    place: str = "query"

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": [member.value for member in self.kind]}

    def read(self, request: Request) -> E | None:
        text = _raw(request, self)
        return _member(self.kind, self.name, text) if text else None


@frozen(kw_only=True)
class Choices(Parameter[frozenset[E] | None], Generic[E]):
    """Words of a list, each in a parameter of its own or with commas between them."""

    name: str
    description: str
    kind: type[E]
    place: str = "query"

    def schema(self) -> dict[str, Any]:
        words = [member.value for member in self.kind]
        return {"type": "array", "items": {"type": "string", "enum": words}}

    def read(self, request: Request) -> frozenset[E] | None:
        given = request.query_params.getlist(self.name)
        words = [word for each in given for word in each.split(",") if word]
        return frozenset(_member(self.kind, self.name, word) for word in words) or None


@frozen(kw_only=True)
class OrderIdentifier(Parameter[OrderId]):
    """An order's id in the path."""

    name: str = "order_id"
    description: str = "The order's id."
    place: str = field(default="path", init=False)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def read(self, request: Request) -> OrderId:
        text = _raw(request, self) or ""
        # What can be no id is asked of no store: it becomes part of paths there.
        if why_not_an_order_id(text) is not None:
            raise OrderNotFound("There is no order with this id: look it up with GET /api/orders.")
        return OrderId(text)


def check_query(request: Request, known: Mapping[str, object]) -> None:
    """Refuse parameters that the operation does not have.  Raises `Problem`."""
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        names = ", ".join(known) or "none"
        raise Problem(
            BAD_REQUEST,
            f"There is no parameter `{unknown[0][:100]}` here; there are: {names}.",
        )
