"""What leaves by the webhook, and what is made of its answers."""

from __future__ import annotations

import httpx
import pytest

from galaxy_adapters.alerts_ntfy import NtfyAlerts, NtfyTopic
from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.domain.health import Alert
from galaxy_core.domain.letter import Severity

pytestmark = pytest.mark.anyio

URL = "https://ntfy.example.org/secret-topic"
ALERT = Alert(key="a", title="Hermes is dead.", text="Start it.", severity=Severity.CRITICAL)


class Server:
    """Answers as it is told, and keeps what was asked."""

    def __init__(self, answer: int | Exception = 200) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.requests.append(request)
        if isinstance(self._answer, Exception):
            raise self._answer
        return httpx.Response(self._answer)


async def send(server: Server, alert: Alert = ALERT, token: str | None = None) -> None:
    """Send one alert."""
    topic = NtfyTopic(url=URL, token=token)
    sink = NtfyAlerts(topic, transport=httpx.MockTransport(server))
    try:
        await sink.send(alert)
    finally:
        await sink.aclose()


async def test_ntfy_gets_title_priority_and_text() -> None:
    """As https://docs.ntfy.sh/publish/ describes it."""
    server = Server()
    await send(server, token="tk_1")
    (request,) = server.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.content == b"Start it."
    assert request.headers["title"] == "Hermes is dead."
    assert request.headers["priority"] == "5"
    assert request.headers["tags"] == "rotating_light"
    assert request.headers["authorization"] == "Bearer tk_1"


async def test_a_title_that_no_header_can_carry_is_encoded() -> None:
    """Machines may have any name; line breaks must not become headers."""
    server = Server()
    await send(
        server, Alert(key="a", title="Hermes on Küche\r\nX: y", text="", severity=Severity.ALERT)
    )
    (request,) = server.requests
    assert request.headers["title"].startswith("=?UTF-8?B?")
    assert "x" not in request.headers
    assert request.content.decode() == "Hermes on Küche\r\nX: y"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("severity", list(Severity))
async def test_every_severity_has_a_priority(severity: Severity) -> None:
    """1 to 5, and a tag."""
    server = Server()
    await send(server, Alert(key="a", title="A", text="b", severity=severity))
    assert int(server.requests[0].headers["priority"]) in range(1, 6)
    assert server.requests[0].headers["tags"]


@pytest.mark.parametrize("answer", [429, 500, 503, httpx.ConnectError("x"), httpx.ReadTimeout("x")])
async def test_a_passing_failure_may_be_tried_again(answer: int | Exception) -> None:
    """And its sentence names no address."""
    with pytest.raises(TransientError) as raised:
        await send(Server(answer))
    assert "secret-topic" not in str(raised.value)


@pytest.mark.parametrize("answer", [301, 400, 401, 403, 404])
async def test_a_refusal_is_for_good(answer: int) -> None:
    """The settings are wrong: it says which."""
    with pytest.raises(PermanentError, match=r"alerts\.url"):
        await send(Server(answer))


def test_the_address_is_a_secret() -> None:
    """Who knows it can read along."""
    assert "secret" not in repr(NtfyTopic(url=URL, token="tk_secret"))
