"""Alerts by ntfy, or anything that takes a `POST` with a text and a few headers.

https://docs.ntfy.sh/publish/: the body is the message, `Title`, `Priority` (1 to 5) and `Tags` are
headers.  What is sent is a sentence about a part of Galaxy: never an order's text, never a token.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta

import anyio
import httpx
from attrs import field, frozen

from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.domain.health import Alert
from galaxy_core.domain.letter import Severity
from galaxy_core.ports.alert_sink import AlertSink

__all__ = ["NtfyAlerts", "NtfyTopic"]

_PATIENCE = timedelta(seconds=8)
"""A call may take, all of it; the watcher waits for it."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PRIORITY: Mapping[Severity, str] = {
    Severity.INFO: "2",
    Severity.SUCCESS: "3",
    Severity.WARNING: "3",
    Severity.ALERT: "4",
    Severity.CRITICAL: "5",
}
_TAG: Mapping[Severity, str] = {
    Severity.INFO: "information_source",
    Severity.SUCCESS: "white_check_mark",
    Severity.WARNING: "warning",
    Severity.ALERT: "warning",
    Severity.CRITICAL: "rotating_light",
}
_PASSING = frozenset({408, 425, 429})
_SERVER_ERROR = 500


@frozen(kw_only=True)
class NtfyTopic:
    """Where alerts go."""

    url: str = field(repr=False)
    """With the topic: whoever knows it can read along, so it is a secret."""
    token: str | None = field(default=None, repr=False)


class NtfyAlerts(AlertSink):
    """Posts to one topic; safe to be used by many tasks at once."""

    def __init__(
        self,
        topic: NtfyTopic,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        patience: timedelta = _PATIENCE,
    ) -> None:
        self._url = topic.url
        self._patience = patience.total_seconds()
        self._http = httpx.AsyncClient(
            headers={"authorization": f"Bearer {topic.token}"} if topic.token else {},
            # A proxy for the internet must not see calls that stay on this machine.
            trust_env=httpx.URL(topic.url).host not in _LOOPBACK,
            transport=transport,
            timeout=self._patience,
        )

    async def send(self, alert: Alert) -> None:
        headers = {
            "title": _header(alert.title),
            "priority": _PRIORITY[alert.severity],
            "tags": _TAG[alert.severity],
        }
        content = (alert.text or alert.title).encode("utf-8", "replace")
        try:
            # httpx's own limits are for each step: connecting, one read, the next ...
            with anyio.fail_after(self._patience):
                answer = await self._http.post(self._url, content=content, headers=headers)
        # httpx's errors hold the request, address and all: none of them is quoted.
        except (httpx.HTTPError, TimeoutError) as error:
            sentence = f"The webhook for alerts cannot be reached ({type(error).__name__})."
            raise TransientError(sentence) from None
        status = answer.status_code
        if status in _PASSING or status >= _SERVER_ERROR:
            raise TransientError(f"The webhook for alerts is in trouble (HTTP {status}).")
        if not answer.is_success:
            raise PermanentError(
                f"The webhook refuses alerts (HTTP {status}): check `alerts.url` and "
                "`alerts.token` in the settings."
            )

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()


def _header(text: str) -> str:
    """A header's value: one line, and in RFC 2047's form (which ntfy reads) where not ASCII."""
    line = " ".join(text.split())
    if line.isascii() and line.isprintable():
        return line
    return f"=?UTF-8?B?{base64.b64encode(line.encode('utf-8', 'replace')).decode()}?="
