"""The door: every request passes here before any route sees it.

In this order: a name that this server has (DNS rebinding), a path without tricks, a page of ours
behind it (cross-site posts), then a session or a token.  Nobody learns from a refusal what is
there: unknown paths are refused like known ones.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from attrs import define, frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galaxy_adapters._web.access import LOOPBACK_NAMES, OPEN_PATHS, WebAccess, split_host
from galaxy_adapters._web.problems import Problem, problem_of, wants_page
from galaxy_adapters._web.sessions import SessionDesk
from galaxy_core.domain.errors import GalaxyError

__all__ = ["LOGIN_PATH", "STATIC_PATH", "Guard", "Visitor", "set_cookie", "visitor_of"]

LOGIN_PATH = "/login"
STATIC_PATH = "/static/"
"""Our own scripts and styles, which the login page needs too: they are no secret."""
CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    # Not `no-referrer`: with that, browsers send `Origin: null` along with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
"""On every answer that does not say otherwise."""
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_VISITOR = "galaxy.visitor"
_PORTS = {"http": 80, "https": 443}
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


@frozen(kw_only=True)
class Visitor:
    """Who asks."""

    person: str
    """Name on the web channel; empty where nobody had to say."""
    way: Literal["session", "token", "open"]


Refusal = Callable[[Request, Problem], Awaitable[Response]]
"""Turns a problem into an answer."""


def visitor_of(connection: HTTPConnection) -> Visitor:
    """Who asks; the guard has seen to it that somebody does."""
    visitor = connection.scope[_VISITOR]
    assert isinstance(visitor, Visitor)  # noqa: S101 - for the type checker
    return visitor


@define(eq=False)
class Guard:
    """ASGI middleware around everything."""

    app: ASGIApp
    _access: WebAccess
    _sessions: SessionDesk
    _refuse: Refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = Request(scope, receive)
        try:
            answer = await self._admit(request)
        except Problem as problem:
            answer = await self._refuse(request, problem)
        except GalaxyError as error:  # the store of sessions is away
            answer = await self._refuse(request, problem_of(error))
        await (answer or self.app)(scope, receive, send_guarded)

    async def _admit(self, request: Request) -> Response | None:
        """Check the request and note who asks; an answer, if that is all there is to do."""
        host = self._checked_host(request)
        _check_path(_path(request), request.scope.get("raw_path", b""))
        self._check_origin(request)
        if self._is_open(request, host):
            request.scope[_VISITOR] = Visitor(person="", way="open")
            return None
        cookie = request.cookies.get(self._access.cookie_name, "")
        session = await self._sessions.find(cookie) if cookie else None
        if request.method == "GET" and "key" in request.query_params and _is_page(request):
            return await self._take_key(request, is_known=session is not None)
        if session is not None:
            request.scope[_VISITOR] = Visitor(person=session.person, way="session")
            self._check_proof(request)
            return None
        if self._has_token(request):
            request.scope[_VISITOR] = Visitor(person="", way="token")
            return None
        if _path(request) == LOGIN_PATH or _path(request).startswith(STATIC_PATH):
            request.scope[_VISITOR] = Visitor(person="", way="open")
            return None
        return self._turn_away(request)

    # ---- where it comes from

    def _checked_host(self, request: Request) -> str:
        given = request.headers.getlist("host")
        host = split_host(given[0]) if len(given) == 1 else None
        server = request.scope.get("server")
        if host is None or not self._access.knows(host[0], local=server[0] if server else None):
            raise Problem(
                421,
                "This server is not called so. Use the address that it printed, or add this name"
                " to `web.names` in the settings.",
                headers={"connection": "close"},
            )
        return host[0]

    def _check_origin(self, request: Request) -> None:
        """Refuse what a page of somebody else has the browser send."""
        headers = request.headers
        site, is_safe = headers.get("sec-fetch-site"), request.method in _SAFE
        is_ours = site in {"same-origin", "none"}
        is_visit = headers.get("sec-fetch-mode") == "navigate" and is_safe
        if site is not None and not is_ours and not is_visit:
            raise _foreign()
        origins = headers.getlist("origin")
        if not origins or is_visit:
            return
        # Browsers hide the origin of some of our own requests, and say so in Sec-Fetch-Site.
        is_hidden = origins == ["null"] and is_ours
        if not is_hidden and (len(origins) > 1 or not self._is_own(origins[0], headers)):
            raise _foreign()

    def _is_own(self, origin: str, headers: Headers) -> bool:
        try:
            parts = urlsplit(origin)
            given = split_host(parts.netloc)
        except ValueError:
            return False
        host, port = split_host(headers["host"]), _PORTS.get(parts.scheme)
        if given is None or host is None or port is None:
            return False
        if self._access.is_https and parts.scheme != "https" and given[0] not in LOOPBACK_NAMES:
            return False
        return (given[0], given[1] or port) == (host[0], host[1] or port)

    def _check_proof(self, request: Request) -> None:
        """A cookie alone proves nothing: the browser must say that a page of ours is behind it."""
        if request.method in _SAFE:
            return
        if "origin" not in request.headers and "sec-fetch-site" not in request.headers:
            raise Problem(
                403, "Send an Origin header along with a cookie, or use a token: see the API."
            )

    # ---- who it is

    def _is_open(self, request: Request, host: str) -> bool:
        """Whether it is one of the four paths that need nothing, asked from this machine."""
        client = request.client
        return (
            request.method in {"GET", "HEAD"}
            and _path(request) in OPEN_PATHS
            and self._access.is_on_loopback
            and host in LOOPBACK_NAMES
            and (client is None or _is_local(client.host))
            # Through a proxy it may come from anywhere.
            and not any(name in request.headers for name in _FORWARDED)
        )

    def _has_token(self, request: Request) -> bool:
        path = _path(request)
        if not (path.startswith("/api/") or path in {"/api", *OPEN_PATHS}):
            return False  # pages are for people
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        token = self._access.token
        if not token or scheme.casefold() != "bearer":
            return False
        return hmac.compare_digest(_digest(given.strip()), _digest(token))

    async def _take_key(self, request: Request, *, is_known: bool) -> Response:
        """The printed address: a cookie for the key, and on to the page without it."""
        others = [pair for pair in parse_qsl(request.url.query) if pair[0] != "key"]
        path = "/" + _path(request).lstrip("/\\")  # `//name` would lead elsewhere
        answer = RedirectResponse(f"{path}?{urlencode(others)}" if others else path, 303)
        if is_known:
            return answer  # a key is not used up by who is in
        cookie = await self._sessions.redeem(request.query_params["key"])
        if cookie is None:
            raise Problem(
                403,
                "This address was used before, or is too old: each is good once."
                f" {self._access.advice}",
                title="This key is not good any more",
            )
        set_cookie(answer, self._access, cookie)
        return answer

    def _turn_away(self, request: Request) -> Response:
        headers = request.headers
        if _is_page(request) and headers.get("sec-fetch-site") == "cross-site":
            # A link on somebody else's page brings no SameSite=Strict cookie along; once the
            # browser is here, going to the same address again does.
            return _again(request)
        if _is_page(request) and self._access.has_login:
            target = _path(request)
            query = f"?{urlencode({'next': target})}" if target != "/" else ""
            return RedirectResponse(LOGIN_PATH + query, 303)
        raise Problem(
            401,
            f"{self._access.advice} Programs send `Authorization: Bearer` with `web.token`.",
            title="You are not logged in",
            headers={"www-authenticate": 'Bearer realm="galaxy"'},
        )


def set_cookie(answer: Response, access: WebAccess, cookie: str) -> None:
    """Have the browser keep a session; an empty one ends it."""
    answer.set_cookie(
        access.cookie_name,
        cookie,
        max_age=int(access.session_life.total_seconds()) if cookie else 0,
        path="/",
        secure=access.is_https,
        httponly=True,
        samesite="strict",
    )


def _again(request: Request) -> Response:
    query = f"?{request.url.query}" if request.url.query else ""
    target = quote("/" + _path(request).lstrip("/\\")) + query
    return Response(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Galaxy</title>'
        f'<meta http-equiv="refresh" content="0;url={_escaped(target)}">'
        f'<p><a href="{_escaped(target)}">Continue</a></p></html>',
        media_type="text/html",
    )


def _escaped(text: str) -> str:
    for character, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("'", "#39")):
        text = text.replace(character, f"&{name};")
    return text


def _path(request: Request) -> str:
    """The path as routes see it: decoded, with nothing taken out."""
    return str(request.scope["path"])


def _check_path(path: str, raw: bytes) -> None:
    """No route has such a path; no file system shall ever be asked about one."""
    parts = path.replace("\\", "/").split("/")
    if ".." in parts or "\\" in path or "\0" in path or path.startswith("//") or b"%00" in raw:
        raise Problem(400, "There is no such path.")


def _is_page(request: Request) -> bool:
    return request.method in {"GET", "HEAD"} and wants_page(request)


def _is_local(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def _digest(text: str) -> bytes:
    # Of equal length, whatever was sent.
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _foreign() -> Problem:
    return Problem(403, "This came from a page of another site: open Galaxy's own page.")
