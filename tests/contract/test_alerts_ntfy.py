"""Alerts by ntfy under the suite of their port."""

# ruff: noqa: D102 - the suites' harnesses say what each method is for

import base64
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import anyio
import httpx
import pytest

from galaxy_adapters.alerts_ntfy import NtfyAlerts, NtfyTopic
from galaxy_core.ports.alert_sink import AlertSink
from galaxy_core.testing.contracts import AlertSinkContract, AlertSinkHarness
from galaxy_core.testing.memory import ManualClock

_PATIENCE = timedelta(seconds=1)
"""Short, for silence is really waited for; ample for a server that is a function."""


class NtfyHarness(AlertSinkHarness):
    """A topic somewhere, which is read along."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.sinks: list[NtfyAlerts] = []
        self.requests: list[httpx.Request] = []
        self.answers: list[int] = []
        self.usual_answer = 200
        self.is_silent = False

    async def _serve(self, request: httpx.Request) -> httpx.Response:
        if self.is_silent:
            await anyio.sleep_forever()
        status = self.answers.pop(0) if self.answers else self.usual_answer
        if status == httpx.codes.OK:
            self.requests.append(request)
        return httpx.Response(status)

    async def open(self) -> AlertSink:
        topic = NtfyTopic(url="https://ntfy.example.org/topic")
        transport = httpx.MockTransport(self._serve)
        self.sinks.append(NtfyAlerts(topic, transport=transport, patience=_PATIENCE))
        return self.sinks[-1]

    def now(self) -> datetime:
        return self.clock.now()

    async def elapse(self, duration: timedelta) -> None:
        """Real time goes by itself."""

    async def heard(self) -> Sequence[str]:
        return [
            f"{_plain(request.headers['title'])}\n{request.content.decode()}"
            for request in self.requests
        ]

    async def refuse_once(self) -> None:
        self.answers.append(503)

    async def refuse_for_good(self) -> None:
        self.usual_answer = 403

    async def fall_silent(self) -> None:
        self.is_silent = True


def _plain(header: str) -> str:
    """A header as ntfy reads it."""
    if not header.startswith("=?UTF-8?B?"):
        return header
    return base64.b64decode(header.removeprefix("=?UTF-8?B?").removesuffix("?=")).decode()


class TestNtfyAlerts(AlertSinkContract):
    """A topic."""

    @pytest.fixture
    async def harness(self) -> AsyncIterator[NtfyHarness]:
        """Give a topic on which nothing was said."""
        harness = NtfyHarness()
        yield harness
        for sink in harness.sinks:
            await sink.aclose()
