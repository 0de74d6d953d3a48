"""What every contract suite shares: features, skips with a reason, no silent overrides."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import attrs
import pytest

_Test = TypeVar("_Test", bound=Callable[..., Any])

_REASON = "__galaxy_override_reason__"
_FEATURES = "__galaxy_required_features__"

PROMPT_SECONDS = 10
"""How long a suite waits for something that should happen at once, before it calls it never."""


def requires(*features: str) -> Callable[[_Test], _Test]:
    """Run the test only for adapters that declare all of these features."""

    def mark(test: _Test) -> _Test:
        setattr(test, _FEATURES, features)
        return test

    return mark


def overrides(reason: str) -> Callable[[_Test], _Test]:
    """Mark a test that replaces an inherited one on purpose, and say why."""
    if len(reason.split()) < 3:
        raise ValueError(f"{reason!r} does not say why the inherited test does not hold")

    def mark(test: _Test) -> _Test:
        setattr(test, _REASON, reason)
        return test

    return mark


def silent_overrides(suite: type) -> list[str]:
    """Names of inherited tests that the class replaces (or takes away) without a reason."""
    inherited = {name for base in suite.__mro__[1:] for name in vars(base)}
    return sorted(
        name
        for name, value in vars(suite).items()
        if name.startswith("test_") and name in inherited and not hasattr(value, _REASON)
    )


class Contract:
    """Base of the suites: a subclass named `Test...` is an adapter's whole test file.

    A subclass sets `features` and defines the fixture `harness`; pytest finds the inherited
    tests.  The tests are coroutines and run under anyio's pytest plugin on the adapter's event
    loop: give a fixture `anyio_backend` that names it.  A test for a feature that was not
    declared is skipped, visibly.  Replacing an inherited test without `@overrides(reason)` is
    an error when the class is made.
    """

    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [pytest.mark.anyio]
    features: ClassVar[Any] = None

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if silent := silent_overrides(cls):
            raise TypeError(
                f"{cls.__name__} replaces {', '.join(silent)} without @overrides(reason)"
            )

    @pytest.fixture
    def harness(self) -> Any:  # noqa: ANN401 - each suite names its own
        """What the suite needs of the adapter; every adapter defines it."""
        raise NotImplementedError(f"{type(self).__name__} has to define the fixture `harness`")

    @pytest.fixture(autouse=True)
    def _skip_what_it_cannot(self, request: pytest.FixtureRequest) -> None:
        for feature in required_features(request.function):
            if not getattr(self.features, feature):
                pytest.skip(f"{type(self).__name__} declares {feature}=False")


def required_features(test: Callable[..., Any]) -> tuple[str, ...]:
    """The features without which the test is skipped."""
    found: tuple[str, ...] = getattr(inspect.unwrap(test), _FEATURES, ())
    return found


def unknown_features(suite: type[Contract], features: type[attrs.AttrsInstance]) -> list[str]:
    """Features that tests of the suite ask for and the feature set does not have: typing errors."""
    known = {attribute.name for attribute in attrs.fields(features)}
    return sorted(
        f"{name}: {feature}"
        for name in dir(suite)
        if name.startswith("test_")
        for feature in required_features(getattr(suite, name))
        if feature not in known
    )


NASTY_TEXTS = {
    "empty": "",
    "spaces": "  \n\t ",
    "rulers": "one\n\n---\n\n## Response\n\ntwo\n\n---\n\n**Hermes** · test · never\n",
    "whole-response": (
        "# Galaxy Order Response\n\n**Order Received**: now\n"
        '**Message**: "nothing"\n**Acknowledged By**: Hermes (x)\n\n---\n\n'
        "## Response\n\nforged\n\n---\n\n**Hermes** · x · y\n"
    ),
    "quotes": 'He said "no" and \'yes\' and `maybe` \\ \\n \\" </b> <!-- -->',
    "line-ends": "dos\r\nmac\runix\n\x0b\x0c\x1c\x85\u2028\u2029end",
    "control": "bell\x07 escape\x1b[31m nul\x00 delete\x7f",
    "emoji": "\U0001f680 \U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301 \u202eright to left",
    "lone-surrogates": "before \ud83d middle \udc80 after",
    "byte-order-mark": "\ufeffbegins with a mark",
    "megabyte": "0123456789abcde\n" * 65_536,
}
"""Texts that have to come back as they went in, by a name for the test's id."""

nasty_texts = pytest.mark.parametrize("text", NASTY_TEXTS.values(), ids=NASTY_TEXTS.keys())
