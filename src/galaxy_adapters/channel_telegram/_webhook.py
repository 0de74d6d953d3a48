"""The other way in: Telegram calls us.

The same promise as polling: a call is answered with 200 when its update is stored, and Telegram
repeats it otherwise.  Bodies that are no updates are set aside and answered with 200 too, for
Telegram would repeat them for ever, before all others.

Plain HTTP: TLS ends at the proxy in front.  Needs uvicorn (extra `webhook`).
"""

from __future__ import annotations

import hmac
import json
import random
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Never

import anyio
import structlog
import uvicorn
from attrs import define, field

from galaxy_adapters.channel_telegram._errors import CallFailed, CallRefused, Trouble
from galaxy_adapters.channel_telegram._health import Health
from galaxy_adapters.channel_telegram._json import an_object, number, text
from galaxy_adapters.channel_telegram._poller import Call, Store
from galaxy_adapters.channel_telegram._updates import ALLOWED
from galaxy_adapters.channel_telegram.config import WebhookConfig
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.ports.clock import Clock

_log = structlog.get_logger(__name__)

_SECRET_HEADER = b"x-telegram-bot-api-secret-token"
_LARGEST_BODY = 4 << 20
"""Telegram's own updates are far below 1 MiB."""
_BODY_SECONDS = 10.0
_STOP_SECONDS = 3.0
_CHECKED = timedelta(minutes=10)
"""How often it is looked whether the webhook is still ours."""
_SHORTEST = timedelta(seconds=1)
_LONGEST = timedelta(minutes=1)

_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]


class _Refused(Exception):
    """An HTTP status that is no success."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@define(eq=False)
class WebhookEndpoint:
    """What Telegram calls: an ASGI application."""

    _config: WebhookConfig
    _store: Store
    _health: Health

    async def __call__(self, scope: Mapping[str, Any], receive: _Receive, send: _Send) -> None:
        """Answer one call."""
        if scope["type"] != "http":
            return
        try:
            status = await self._take(scope, receive)
        except _Refused as refused:
            status = refused.status
        start = {"type": "http.response.start", "status": int(status), "headers": []}
        await send(start | {"headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def _take(self, scope: Mapping[str, Any], receive: _Receive) -> HTTPStatus:
        # The secret comes first: a stranger learns nothing and sends us nothing to read.  The path
        # does not matter: proxies change it.
        given = next((value for name, value in scope["headers"] if name == _SECRET_HEADER), b"")
        if not hmac.compare_digest(given, self._config.secret.encode()):
            raise _Refused(HTTPStatus.FORBIDDEN)
        if scope["method"] != "POST":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED)
        body = await _read(receive)
        try:
            update: object = json.loads(body)
        except (ValueError, RecursionError):
            update = body.decode("utf-8", "replace")
        try:
            await self._store.store([update])
        except StorageUnavailable:
            self._health.trouble(Trouble.STORAGE)
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE) from None
        self._health.fine(Trouble.STORAGE)
        return HTTPStatus.OK


async def _read(receive: _Receive) -> bytes:
    pieces = []
    left = _LARGEST_BODY
    with anyio.move_on_after(_BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] != "http.request":
                raise _Refused(HTTPStatus.BAD_REQUEST)  # gone away; nobody reads the answer
            pieces.append(message.get("body", b""))
            left -= len(pieces[-1])
            if left < 0:
                raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            if not message.get("more_body", False):
                return b"".join(pieces)
    raise _Refused(HTTPStatus.REQUEST_TIMEOUT)


class _Server(uvicorn.Server):
    """Leaves signals to the application around it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@define(eq=False)
class Webhook:
    """Listens, and has Telegram call; for as long as the channel is open."""

    _config: WebhookConfig
    _call: Call
    _store: Store
    _clock: Clock
    _health: Health
    _pause: timedelta = field(default=_SHORTEST, init=False)

    async def run(self) -> Never:
        """Take calls until cancelled."""
        listening = await self._bound()
        server = _Server(
            uvicorn.Config(
                WebhookEndpoint(self._config, self._store, self._health),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                http="h11",
                server_header=False,
                limit_concurrency=4 * self._config.max_connections + 16,
                timeout_graceful_shutdown=1,
            )
        )

        async def serve() -> None:
            # It ends by `should_exit`: cancelled, it would leave connections open.
            with anyio.CancelScope(shield=True):
                await server.serve(sockets=[listening])

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve, name="telegram webhook")
                try:
                    await self._keep_set()
                finally:
                    server.should_exit = True
        finally:
            listening.close()
            await self._remove()
        raise AssertionError("it is set until it is cancelled")

    async def _bound(self) -> socket.socket:
        while True:
            family = socket.AF_INET6 if ":" in self._config.host else socket.AF_INET
            listening = socket.socket(family, socket.SOCK_STREAM)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listening.bind((self._config.host, self._config.port))
            except OSError as error:
                listening.close()
                self._health.trouble(Trouble.PORT)
                _log.warning("telegram.port_not_bound", port=self._config.port, error=str(error))
                await self._back_off()
            else:
                self._health.fine(Trouble.PORT)
                self._pause = _SHORTEST
                return listening

    async def _keep_set(self) -> Never:
        """Have Telegram call us, and look now and then whether it still does."""
        while True:
            try:
                await self._set()
            except (CallFailed, CallRefused) as error:
                trouble = error.trouble if isinstance(error, CallFailed) else Trouble.SETTING
                self._health.trouble(trouble)
                _log.warning("telegram.webhook_not_set", trouble=str(trouble))
                pause = error.retry_after if isinstance(error, CallFailed) else None
                await self._back_off(pause)
                continue
            self._pause = _SHORTEST
            await self._clock.sleep(_CHECKED)

    async def _set(self) -> None:
        info = an_object(await self._call("getWebhookInfo"))
        await self._call(
            "setWebhook",
            {
                "url": self._config.url,
                "secret_token": self._config.secret,
                "max_connections": self._config.max_connections,
                "allowed_updates": list(ALLOWED),
                "drop_pending_updates": False,
            },
        )
        failed_at = number(info.get("last_error_date")) or 0
        is_ours = text(info.get("url")) == self._config.url
        since = self._clock.now().timestamp() - _CHECKED.total_seconds()
        if is_ours and number(info.get("pending_update_count")) and failed_at > since:
            self._health.trouble(Trouble.UNREACHED)
        else:
            for trouble in set(Trouble) - {Trouble.STORAGE, Trouble.PORT}:
                self._health.fine(trouble)

    async def _remove(self) -> None:
        if not self._config.is_removed_at_stop:
            return
        with anyio.move_on_after(_STOP_SECONDS, shield=True):
            try:
                await self._call("deleteWebhook", {"drop_pending_updates": False})
            except (CallFailed, CallRefused) as error:  # whoever polls next removes it
                _log.warning("telegram.webhook_not_removed", error=type(error).__name__)

    async def _back_off(self, pause: timedelta | None = None) -> None:
        waiting = pause or self._pause
        self._pause = min(_LONGEST, 2 * self._pause)
        await self._clock.sleep(waiting * random.uniform(1.0, 1.3))  # noqa: S311 - jitter
