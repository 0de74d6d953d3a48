"""Webhooks: updates are posted one after another, each until it is answered with 200.

Plain http is allowed, as on a local server of Telegram's own; only to this machine.
"""

from __future__ import annotations

import asyncio
import json
import re
import urllib.parse
from collections.abc import Callable

from galaxy_core.testing.bot_api.arguments import Arguments
from galaxy_core.testing.bot_api.errors import bad_request
from galaxy_core.testing.bot_api.receiving import Updates, pause_after
from galaxy_core.testing.bot_api.state import Json, State, Webhook

_ANSWER_SECONDS = 10.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Webhooks:
    """The webhook of one bot."""

    def __init__(
        self,
        state: State,
        updates: Updates,
        news: asyncio.Event,
        changed: Callable[[], None],
    ) -> None:
        self._state = state
        self._updates = updates
        self._news = news
        self._changed = changed

    def set(self, a: Arguments) -> tuple[bool, str]:
        """Post updates to an address from now on."""
        url = a.text("url")
        if not url:
            return self.delete(a)
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" and (parts.scheme, parts.hostname in _LOOPBACK) != (
            "http",
            True,
        ):
            raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
        secret = a.text("secret_token")
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", secret):
            raise bad_request("secret token contains unallowed characters")
        if a.has("allowed_updates"):
            self._updates.allow(a.objects("allowed_updates", "allowed_updates"))
        if a.flag("drop_pending_updates"):
            self._updates.forget_all()
        self._updates.conflict("terminated by setWebhook request")
        self._state.webhook = Webhook(url, secret, a.integer("max_connections", 40))
        self._news.set()
        return True, "Webhook was set"

    def delete(self, a: Arguments) -> tuple[bool, str]:
        """Go back to polling."""
        if a.flag("drop_pending_updates"):
            self._updates.forget_all()
        had_one = bool(self._state.webhook.url)
        self._state.webhook = Webhook()
        return True, "Webhook was deleted" if had_one else "Webhook is already deleted"

    def info(self) -> Json:
        """How it stands."""
        webhook = self._state.webhook
        content: Json = {
            "url": webhook.url,
            "has_custom_certificate": False,
            "pending_update_count": len(self._state.updates),
        }
        if webhook.url:
            content |= {"max_connections": webhook.max_connections, "ip_address": "127.0.0.1"}
        if webhook.last_error:
            content["last_error_date"] = webhook.last_error_at
            content["last_error_message"] = webhook.last_error
        if self._state.allowed_updates:
            content["allowed_updates"] = self._state.allowed_updates
        return content

    async def run(self, now: Callable[[], int]) -> None:
        """Post what there is, until cancelled."""
        failures = 0
        while True:
            webhook = self._state.webhook
            if not (webhook.url and self._state.updates):
                self._news.clear()
                await self._news.wait()
                continue
            update = self._state.updates[0]
            error = await _post(webhook, update)
            if error is None:
                failures = 0
                if self._state.updates[:1] == [update]:
                    self._updates.forget_first()
                self._changed()
                continue
            webhook.last_error, webhook.last_error_at = error, now()
            self._changed()
            await asyncio.sleep(pause_after(failures))
            failures += 1


async def _post(webhook: Webhook, update: Json) -> str | None:
    """Post one update; gives what went wrong."""
    parts = urllib.parse.urlsplit(webhook.url)
    body = json.dumps(update).encode()
    path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {parts.netloc}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    if webhook.secret:
        lines.append(f"x-telegram-bot-api-secret-token: {webhook.secret}")
    head = "\r\n".join([*lines, "", ""]).encode()
    is_https = parts.scheme == "https"
    port = parts.port or (443 if is_https else 80)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=is_https)
            try:
                writer.write(head + body)
                await writer.drain()
                status = (await reader.readline()).decode("latin-1").split(" ", 2)
            finally:
                writer.close()
    except TimeoutError:
        return "Read timeout expired"
    except OSError:
        return "Connection refused"
    if len(status) < 2 or not status[1].isdigit():
        return "Connection closed"
    return (
        None
        if status[1] == "200"
        else f"Wrong response from the webhook: {' '.join(status[1:])}".strip()
    )
