"""One application of many routes: the door, the limits, and how failures look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import structlog
from attrs import define, field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from galaxy_adapters._web.access import WebAccess
from galaxy_adapters._web.assets import Assets
from galaxy_adapters._web.bodies import BodyLimit
from galaxy_adapters._web.guard import LOGIN_PATH, Guard, set_cookie
from galaxy_adapters._web.markdown import code_styles
from galaxy_adapters._web.pages import HERE, SECTIONS, Pages
from galaxy_adapters._web.problems import Problem, problem_of, problem_response, wants_page
from galaxy_adapters._web.sessions import LoginRefused, SessionDesk
from galaxy_adapters._web.uploads import read_form
from galaxy_core.domain.errors import GalaxyError
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import NoteStore

__all__ = ["Site"]

_log = structlog.get_logger(__name__)

_TITLES: Mapping[int, str] = {
    404: "There is nothing here",
    405: "That cannot be done here",
    500: "Something went wrong",
}


@define(eq=False)
class Site:
    """What all pages of one server share.

    Make one, give `pages` to the adapters, and their routes to `application`.  `folders` are those
    of the adapters: each may have `static` and `templates` in it.
    """

    access: WebAccess
    _notes: NoteStore
    _clock: Clock
    folders: Sequence[Path] = ()
    is_demo: bool = field(default=False, kw_only=True)
    sections: Sequence[tuple[str, str]] = field(default=SECTIONS, kw_only=True)
    """Addresses and names of the pages that every page leads to; those that are served."""
    sessions: SessionDesk = field(init=False)
    assets: Assets = field(init=False)
    pages: Pages = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sessions = SessionDesk(self.access, self._notes, self._clock)
        self.assets = Assets()
        self.assets.add("code.css", code_styles().encode())
        for folder in (HERE, *self.folders):
            self.assets.add_folder(folder / "static")
        templates = [folder / "templates" for folder in self.folders]
        has_login = self.access.has_login
        self.pages = Pages(self.assets, templates, self.is_demo, self.sections, has_login)

    def application(self, routes: Sequence[BaseRoute]) -> ASGIApp:
        """The application: these routes, and what belongs to every server."""
        own = [
            *self.assets.routes(),
            Route(LOGIN_PATH, self._show_login, methods=["GET"]),
            Route(LOGIN_PATH, self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
        ]
        app = Starlette(
            routes=[*routes, *own],
            middleware=[Middleware(_Failures, answer=self._answer)],
            exception_handlers={HTTPException: self._on_http},
        )
        app.router.redirect_slashes = False
        # Outermost, so that the body of who is turned away at the door is not taken in either.
        return BodyLimit(Guard(app, self.access, self.sessions, self._answer))

    async def _answer(self, request: Request, problem: Problem) -> Response:
        if not wants_page(request):
            return problem_response(problem)
        title = _TITLES.get(problem.status, problem.title)
        answer = self.pages.render(
            request,
            "problem.html",
            status=problem.status,
            title=title,
            detail=problem.detail,
            code=problem.status,
        )
        answer.headers.update(problem.headers)
        return answer

    async def _on_http(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for those
        detail = "There is no such page." if error.status_code == 404 else ""  # noqa: PLR2004
        problem = Problem(error.status_code, detail, headers=error.headers)
        return await self._answer(request, problem)

    # ---- logging in

    async def _show_login(self, request: Request) -> Response:
        return self._login_page(request)

    def _login_page(self, request: Request, sentence: str = "", status: int = 200) -> Response:
        return self.pages.render(
            request,
            "login.html",
            status=status,
            sentence=sentence,
            has_login=self.access.has_login,
            advice=self.access.advice,
            names=len(self.access.users) > 1,
            next=request.query_params.get("next", ""),
        )

    async def _log_in(self, request: Request) -> Response:
        form = await read_form(request)
        name = form.fields.get("name") or next(iter(self.access.users), "")
        address = request.client.host if request.client else ""
        try:
            cookie = await self.sessions.log_in(name, form.fields.get("password", ""), address)
        except LoginRefused as refused:
            seconds = round(refused.wait.total_seconds() + 0.5)
            if seconds:
                sentence, status = f"Too many tries: wait {seconds} seconds.", 429
            else:
                sentence, status = "That is not right. Try again.", 403
            if wants_page(request):
                answer = self._login_page(request, sentence, status)
            else:
                answer = problem_response(Problem(status, sentence))
            if seconds:
                answer.headers["retry-after"] = str(seconds)
            return answer
        answer = RedirectResponse(_own_path(form.fields.get("next", "")), 303)
        set_cookie(answer, self.access, cookie)
        return answer

    async def _log_out(self, request: Request) -> Response:
        await self.sessions.end(request.cookies.get(self.access.cookie_name, ""))
        answer = RedirectResponse(LOGIN_PATH, 303)
        set_cookie(answer, self.access, "")
        return answer


class _Failures:
    """ASGI middleware: errors of ours become answers, as long as none has begun."""

    def __init__(
        self, app: ASGIApp, answer: Callable[[Request, Problem], Awaitable[Response]]
    ) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def send_watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_watched)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:  # noqa: BLE001
            # Supervision point: whatever fails in one request is answered, and logged if it is
            # a bug; the server goes on.
            problem = _problem(error)
            if problem is None:
                _log.exception("web.request_failed", method=scope["method"], path=scope["path"])
                problem = problem_of(error)
            if has_begun:
                return
            answer = await self._answer(Request(scope), problem)
            await answer(scope, receive, send)


def _problem(error: Exception) -> Problem | None:
    if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        return _problem(error.exceptions[0])
    if isinstance(error, Problem):
        return error
    return problem_of(error) if isinstance(error, GalaxyError) else None


def _own_path(target: str) -> str:
    """A path of ours: whatever else a form names leads to the first page."""
    is_path = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_path and target.isprintable() else "/"
