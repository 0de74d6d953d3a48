"""The contract of `AlertSink`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import anyio
import pytest
from attrs import evolve, frozen

from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.domain.health import Alert
from galaxy_core.domain.letter import Severity
from galaxy_core.ports.alert_sink import AlertSink
from galaxy_core.testing.contracts.contract import PROMPT_SECONDS, Contract, requires
from galaxy_core.testing.contracts.harness import Harness

ALERT = Alert(key="a", title="Hermes is dead.", text="Start it.", severity=Severity.CRITICAL)
PATIENCE = timedelta(seconds=10)
"""How long a call may take."""


@frozen(kw_only=True)
class AlertSinkFeatures:
    """What can happen on the way."""

    has_outages: bool = True
    """It may not be reached for a while."""
    can_refuse: bool = True
    """It may turn down whatever we say: another address, another password is needed."""
    can_be_silent: bool = True
    """The other side may leave a call without an answer."""


class AlertSinkHarness(Harness[AlertSink]):
    """A way to one person, who has heard nothing yet.

    `elapse` may do nothing where the adapter goes by the real clock, if it was made to give up
    within a second.
    """

    @abstractmethod
    async def heard(self) -> Sequence[str]:
        """What the person reads, title and text of each alert, oldest first."""

    async def refuse_once(self) -> None:
        """Have the next call fail in a way that passes."""
        raise NotImplementedError

    async def refuse_for_good(self) -> None:
        """Have every call fail in a way that does not pass."""
        raise NotImplementedError

    async def fall_silent(self) -> None:
        """Leave every call without an answer."""
        raise NotImplementedError


class AlertSinkContract(Contract):
    """Everything that an `AlertSink` owes the watcher that speaks through it."""

    features: ClassVar[AlertSinkFeatures] = AlertSinkFeatures()

    @requires("has_outages")
    async def test_trouble_that_passes(self, harness: AlertSinkHarness) -> None:
        """It is a `TransientError`; the watcher says the same again, and is heard."""
        sink = await harness.open()
        await harness.refuse_once()
        with pytest.raises(TransientError):
            await sink.send(ALERT)
        assert list(await harness.heard()) == []
        await sink.send(ALERT)
        assert len(await harness.heard()) == 1

    @requires("can_refuse")
    async def test_trouble_that_stays(self, harness: AlertSinkHarness) -> None:
        """It is a `PermanentError`, each time: a person must see to it."""
        sink = await harness.open()
        await harness.refuse_for_good()
        for _ in range(2):
            with pytest.raises(PermanentError):
                await sink.send(ALERT)
        assert list(await harness.heard()) == []

    @requires("can_be_silent")
    async def test_silence_is_given_up(self, harness: AlertSinkHarness) -> None:
        """A call ends within ten seconds, whatever the other side does; it may work later."""
        sink = await harness.open()
        await harness.fall_silent()
        is_given_up = anyio.Event()

        async def send() -> None:
            with pytest.raises(TransientError):
                await sink.send(ALERT)
            is_given_up.set()

        async with anyio.create_task_group() as group:
            group.start_soon(send, name="send")
            await harness.elapse(PATIENCE)
            with anyio.fail_after(PROMPT_SECONDS):
                await is_given_up.wait()

    async def test_title_and_text_arrive(self, harness: AlertSinkHarness) -> None:
        """The person reads what is wrong and what to do, of every severity and at its end."""
        sink = await harness.open()
        alerts = [
            *(evolve(ALERT, title=f"It is {each}.", severity=each) for each in Severity),
            evolve(ALERT, title="It is over.", is_over=True),
        ]
        for alert in alerts:
            await sink.send(alert)
        heard = await harness.heard()
        assert len(heard) == len(alerts)
        for text, alert in zip(heard, alerts, strict=True):
            assert alert.title in text
            assert alert.text in text

    @pytest.mark.parametrize(
        "title",
        ["Hermes on Küche.", "\U0001f6d1 over\r\nX: y", "t" * 300],
        ids=["ä", "line", "long"],
    )
    async def test_any_title_arrives(self, harness: AlertSinkHarness, title: str) -> None:
        """Machines may have any name; an alert without a text is its title."""
        sink = await harness.open()
        await sink.send(evolve(ALERT, title=title, text=""))
        (heard,) = await harness.heard()
        assert " ".join(title.split()) in " ".join(heard.split())

    async def test_what_is_said_twice_is_heard_twice(self, harness: AlertSinkHarness) -> None:
        """Nothing is held back: whoever calls decides what is said again."""
        sink = await harness.open()
        await sink.send(ALERT)
        await sink.send(ALERT)
        assert len(await harness.heard()) == 2

    async def test_alerts_may_be_sent_at_once(self, harness: AlertSinkHarness) -> None:
        """Several troubles begin at the same moment; none swallows another."""
        sink = await harness.open()
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(sink.send, evolve(ALERT, title=f"Number {number}."), name="send")
        heard = "\n".join(await harness.heard())
        assert [n for n in range(8) if f"Number {n}." not in heard] == []
