"""A dashboard behind a real site, and somebody who is logged in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import httpx
from attrs import define
from starlette.types import ASGIApp

from galaxy_adapters._web import Site, WebAccess
from galaxy_adapters.dashboard import FOLDER, routes
from galaxy_core.testing import ManualClock
from galaxy_core.testing.memory import MemoryNoteStore
from tests.web_doubles import World, browser

HERE = "http://127.0.0.1:5000"


@define
class Dashboard:
    """The application, and a browser that has a session."""

    app: ASGIApp
    client: httpx.AsyncClient
    cookie: str

    async def page(self, path: str, status: int = 200) -> str:
        """A page's HTML."""
        response = await self.client.get(path, headers={"accept": "text/html"})
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        return response.text

    async def press(self, path: str) -> httpx.Response:
        """A button of one of our pages."""
        return await self.client.post(path, headers={"accept": "text/html", "origin": HERE})


async def open_dashboard(
    world: World, *, is_demo: bool = False, sections: Sequence[tuple[str, str]] | None = None
) -> Dashboard:
    """Serve a world's dashboard."""
    clock = ManualClock()
    more = {} if sections is None else {"sections": sections}
    site = Site(
        WebAccess(token="secret"),
        MemoryNoteStore(clock),
        clock,
        [FOLDER],
        is_demo=is_demo,
        **more,
    )
    own = routes(
        world,
        world,
        world,
        pages=site.pages,
        version="1.2.3",
        now=lambda: world.now,
        look_every=timedelta(milliseconds=10),
    )
    app = site.application(own)
    cookie = await site.sessions.redeem(await site.sessions.first_key())
    assert cookie is not None
    client = browser(app, cookie=f"{site.access.cookie_name}={cookie}")
    return Dashboard(app, client, f"{site.access.cookie_name}={cookie}")
