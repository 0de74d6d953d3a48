"""The door: what is refused, and why."""

import pytest

from galaxy_adapters._web import WebAccess
from galaxy_adapters._web.access import split_host, why_too_open
from galaxy_core.domain.errors import StorageUnavailable
from tests.unit.galaxy_adapters._web.place import HTML, TOKEN, Place

pytestmark = pytest.mark.anyio

BEARER = {"authorization": f"Bearer {TOKEN}"}
OWN = "http://127.0.0.1:5000"


@pytest.fixture
def place() -> Place:
    """A server on loopback."""
    return Place()


# ---- names


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example",
     "192.168.1.5", "", "127.0.0.1@evil.example", "[::1", "[::1]x", "127.0.0.1:99999999",
     "127.0.0.1:5000:5000", "127.0.0.1/evil", "0.0.0.0"],  # noqa: S104 - a name that is refused
)  # fmt: skip
@pytest.mark.parametrize("path", ["/", "/api/status", "/login", "/static/x/base.css", "/healthz"])
async def test_foreign_host_is_refused(place: Place, host: str, path: str) -> None:
    """A name that leads here by DNS rebinding opens nothing, whatever else is right."""
    browser = await place.known_browser()
    answer = await browser.get(path, headers={"host": host, **BEARER})
    assert answer.status_code == 421
    assert place.seen == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:5000", "[::1]"])
def test_loopback_names_are_known(host: str) -> None:
    """What people type for their own machine."""
    found = split_host(host)
    assert found is not None
    assert WebAccess().knows(found[0], local="127.0.0.1")


async def test_configured_names_are_known(place: Place) -> None:
    """A proxy's name is allowed by the settings."""
    place.access = WebAccess(hosts=frozenset({"Galaxy.example.org"}), token=TOKEN)
    place.start()
    browser = place.browser(base="http://galaxy.example.org")
    assert (await browser.get("/api/orders", headers=BEARER)).status_code == 200


async def test_two_host_headers_are_refused(place: Place) -> None:
    """Nobody guesses which one was meant."""
    browser = place.browser()
    headers = [("host", "127.0.0.1"), ("host", "evil.example"), *BEARER.items()]
    assert (await browser.get("/api/orders", headers=headers)).status_code == 421


# ---- paths


@pytest.mark.parametrize(
    "path",
    ["/api/status/../orders", "/static/../../etc/passwd", "/static/x/..%2f..%2fetc/passwd",
     "/%2e%2e/etc/passwd", "/static/x/..%5c..%5cwindows", "//evil.example/", "/a%00b"],
)  # fmt: skip
async def test_paths_that_climb_are_refused(place: Place, path: str) -> None:
    """No route ever sees `..`, a backslash, a NUL or a second slash in front."""
    cookie = await place.site.sessions.redeem(await place.site.sessions.new_key())
    for known in ("", cookie or ""):
        assert await place.status_of(path, known) == 400
    assert place.seen == []


# ---- origins


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://localhost:5000"},
        {"origin": "null"},
        {"origin": "file://"},
        {"origin": "http://127.0.0.1:5000@evil.example"},
        {"origin": OWN, "sec-fetch-site": "cross-site"},
        {"origin": OWN, "sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"origin": "http://evil.example", "sec-fetch-site": "same-origin"},
        {},
    ],
    ids=str,
)
async def test_foreign_origin_is_refused(
    place: Place, method: str, headers: dict[str, str]
) -> None:
    """What another site's page has the browser send is not done, cookie or not."""
    browser = await place.known_browser()
    answer = await browser.request(method, "/chat/api/messages", headers=headers)
    assert answer.status_code == 403
    assert place.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": OWN},
        {"origin": OWN, "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-origin"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
    ],
    ids=str,
)
async def test_own_page_may_post(place: Place, headers: dict[str, str]) -> None:
    """Fetches and forms of our own pages, as browsers send them."""
    browser = await place.known_browser()
    answer = await browser.post("/chat/api/messages", headers=headers)
    assert answer.json() == {"person": "owner", "way": "session"}


async def test_token_with_foreign_origin_is_refused(place: Place) -> None:
    """A page that got hold of a token still may not use it from elsewhere."""
    headers = BEARER | {"origin": "http://evil.example"}
    assert (await place.browser().post("/api/orders", headers=headers)).status_code == 403


async def test_other_sites_may_not_read_along(place: Place) -> None:
    """Pages on another port share our cookies: no picture, frame or stream of ours is theirs."""
    browser = await place.known_browser()
    for site in ("same-site", "cross-site"):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
        assert (await browser.get("/api/orders", headers=headers)).status_code == 403
        headers["sec-fetch-mode"] = "navigate"
        assert (await browser.get("/", headers=headers)).status_code == 200


# ---- who


@pytest.mark.parametrize("path", ["/api/status", "/healthz", "/readyz", "/metrics"])
async def test_open_paths_need_nothing_on_loopback(place: Place, path: str) -> None:
    """Health and figures for programs on this machine."""
    answer = await place.browser().get(path)
    assert answer.json() == {"person": "", "way": "open"}


@pytest.mark.parametrize(
    "path", ["/api/status/", "/api/status/x", "/API/status", "/healthz/", "/metrics/x",
             "/api/orders", "/", "/chat/api/messages", "/nowhere", "/logout"],
)  # fmt: skip
@pytest.mark.parametrize("headers", [HTML, {"accept": "*/*"}], ids=["page", "program"])
async def test_all_else_needs_a_session_or_token(
    place: Place, path: str, headers: dict[str, str]
) -> None:
    """Exactly four paths are open; what is not there is refused like what is."""
    assert (await place.browser(headers=headers).get(path)).status_code == 401
    assert place.seen == []


@pytest.mark.parametrize(
    "address,headers",
    [
        ("192.168.1.7", {}),
        ("127.0.0.1", {"x-forwarded-for": "1.2.3.4"}),
        ("127.0.0.1", {"forwarded": "for=1.2.3.4"}),
        ("127.0.0.1", {"via": "1.1 proxy"}),
    ],
)
async def test_open_paths_are_for_this_machine(
    place: Place, address: str, headers: dict[str, str]
) -> None:
    """What came through a proxy came from somewhere else."""
    assert (await place.browser(address).get("/api/status", headers=headers)).status_code == 401


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_open_paths_are_for_reading(place: Place, method: str) -> None:
    """Open means GET and HEAD."""
    assert (await place.browser().request(method, "/api/status")).status_code == 401


async def test_nothing_is_open_on_other_addresses() -> None:
    """Who can be reached from outside answers nobody without a session or token."""
    place = Place(WebAccess(host="0.0.0.0", users={"ann": "x"}, token=TOKEN))  # noqa: S104
    browser = place.browser(headers={"accept": "*/*"})
    for path in ("/api/status", "/healthz", "/readyz", "/metrics"):
        assert (await browser.get(path)).status_code == 401
        assert (await browser.get(path, headers=BEARER)).status_code == 200


@pytest.mark.parametrize(
    "value",
    ["Bearer wrong", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer ", "Bearer", TOKEN,
     f"Basic {TOKEN}", "Bearer \xfc\xff", f"Bearer {'x' * 100_000}"],
)  # fmt: skip
async def test_wrong_token_is_refused(place: Place, value: str) -> None:
    """A token is right or wrong as a whole; odd bytes and lengths do no harm."""
    headers = {b"authorization": value.encode("latin-1")}
    answer = await place.browser().get("/api/orders", headers=headers)
    assert answer.status_code == 401
    assert "bearer" in answer.headers["www-authenticate"].lower()


async def test_token_is_for_the_api(place: Place) -> None:
    """Programs use the API; pages, and the chat in a person's name, are for people."""
    browser = place.browser()
    answer = await browser.post("/api/orders", headers=BEARER)
    assert answer.json() == {"person": "", "way": "token"}
    for path in ("/", "/chat/api/messages"):
        assert (await browser.get(path, headers=BEARER)).status_code == 401


async def test_no_token_in_the_settings_opens_nothing() -> None:
    """An empty token is no token."""
    for access in (WebAccess(), WebAccess(token="")):
        browser = Place(access).browser()
        for value in ("Bearer", "Bearer ", "Bearer None"):
            answer = await browser.get("/api/orders", headers={"authorization": value})
            assert answer.status_code == 401


# ---- answers


async def test_every_answer_carries_the_protections(place: Place) -> None:
    """Pages, refusals, errors and files alike: no foreign script, frame, sniffing or keeping."""
    browser = await place.known_browser()
    answers = [
        await browser.get("/"),
        await browser.get("/nowhere"),
        await browser.get("/api/bug"),
        await browser.get("/login"),
        await place.browser().get("/api/orders"),
        await browser.get("/", headers={"host": "evil.example"}),
    ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        for rule in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"):
            assert rule in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"


async def test_programs_get_problem_details_and_people_a_page(place: Place) -> None:
    """RFC 9457 below /api, a sentence on a page elsewhere."""
    browser = place.browser()
    program = await browser.get("/api/orders")
    assert program.headers["content-type"] == "application/problem+json"
    assert program.json()["status"] == 401
    page = await browser.get("/orders/x")
    assert page.headers["content-type"].startswith("text/html")
    assert "<h1>You are not logged in</h1>" in page.text


async def test_store_of_sessions_away_is_503(place: Place) -> None:
    """Nobody gets in, and nobody is told that he is a stranger, when that cannot be known."""
    browser = await place.known_browser()
    place.faults.fail("notes.get", StorageUnavailable("The disk is away."))
    assert (await browser.get("/")).status_code == 503


async def test_sockets_are_closed(place: Place) -> None:
    """Nothing here speaks over web sockets, so none gets past the door."""
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    await place.app({"type": "websocket", "path": "/"}, None, send)  # type: ignore[operator]
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org"])  # noqa: S104
def test_other_addresses_need_a_password(host: str) -> None:
    """Nobody can be left open by a setting alone, and the refusal says what to do."""
    assert "galaxy config password" in (why_too_open(host, has_password=False) or "")
    assert why_too_open(host, has_password=True) is None
    with pytest.raises(ValueError, match="no password is set"):
        WebAccess(host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "[::1]"])
def test_loopback_needs_no_password(host: str) -> None:
    """What only this machine reaches."""
    assert why_too_open(host, has_password=False) is None
