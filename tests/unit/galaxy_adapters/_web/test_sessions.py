"""How people get in, and stay in."""

from datetime import timedelta

import anyio
import pytest

from galaxy_adapters._web import WebAccess, hash_password, is_hash
from galaxy_adapters._web.passwords import matches
from galaxy_adapters._web.pauses import FREE_TRIES, LONGEST, Pauses
from galaxy_core.testing.memory import ManualClock
from tests.unit.galaxy_adapters._web.place import TOKEN, Place

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"
OWN = {"origin": "http://127.0.0.1:5000"}


@pytest.fixture(scope="module")
def hashed() -> str:
    """The password, hashed once: it takes a while on purpose."""
    return hash_password(PASSWORD)


@pytest.fixture
def place() -> Place:
    """A server without passwords."""
    return Place()


@pytest.fixture
def house(hashed: str) -> Place:
    """A server where two may log in."""
    return Place(WebAccess(users={"ann": hashed, "ben": hash_password("other")}, token=TOKEN))


async def log_in(place: Place, name: str, password: str, address: str = "127.0.0.1") -> int:
    """Try the login page; the status of the answer."""
    form = {"name": name, "password": password}
    async with place.browser(address) as browser:
        return (await browser.post("/login", data=form, headers=OWN)).status_code


# ---- the printed address


async def test_printed_address_lets_one_in_once(place: Place) -> None:
    """A key becomes a cookie and leaves the address; the next who has it stays outside."""
    key = await place.site.sessions.first_key()
    browser = place.browser()
    answer = await browser.get("/orders/x", params={"key": key, "tab": "a&b"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/orders/x?tab=a%26b"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie
    assert (await browser.get("/")).json()["person"] == "owner"
    assert (await place.browser().get("/", params={"key": key})).status_code == 403


async def test_two_at_once_with_one_key(place: Place) -> None:
    """Of two browsers that come with the same key at the same moment, one gets in."""
    key = await place.site.sessions.first_key()
    statuses: list[int] = []

    async def come() -> None:
        statuses.append((await place.browser().get("/", params={"key": key})).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(come)
    assert sorted(statuses) == [303, 403, 403, 403, 403]


async def test_known_browser_does_not_use_a_key_up(place: Place) -> None:
    """Who is in already and opens the address again is sent to the page; the key stays good."""
    browser = await place.known_browser()
    key = await place.site.sessions.new_key()
    assert (await browser.get("/", params={"key": key})).status_code == 303
    assert (await place.browser().get("/", params={"key": key})).status_code == 303


async def test_each_start_has_a_key_of_its_own(place: Place) -> None:
    """The address of an earlier start is over; one made on demand is good beside the first."""
    old = await place.site.sessions.first_key()
    place.start()
    first, more = await place.site.sessions.first_key(), await place.site.sessions.new_key()
    statuses = [
        (await place.browser().get("/", params={"key": key})).status_code
        for key in (old, first, more, "", "x" * 10_000)
    ]
    assert statuses == [403, 303, 303, 403, 403]


async def test_key_gets_too_old(place: Place) -> None:
    """An address that was printed and forgotten opens nothing a day later."""
    key = await place.site.sessions.first_key()
    place.clock.advance(timedelta(days=1))
    assert (await place.browser().get("/", params={"key": key})).status_code == 403


@pytest.mark.parametrize("path", ["/api/orders", "/chat/api/messages"])
async def test_key_is_for_pages(place: Place, path: str) -> None:
    """Programs have a token; and nothing but a GET uses a key up."""
    key = await place.site.sessions.first_key()
    assert (await place.browser().get(path, params={"key": key})).status_code == 401
    for method in ("HEAD", "POST"):
        answer = await place.browser().request(method, "/", params={"key": key}, headers=OWN)
        assert answer.status_code == 401
    assert (await place.browser().get("/", params={"key": key})).status_code == 303


async def test_link_on_another_site_works(place: Place) -> None:
    """SameSite=Strict keeps the cookie back when a link elsewhere leads here: we ask once more."""
    browser = await place.known_browser()
    came = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    answer = await place.browser().get('/orders/x?a="><b>', headers=came)
    assert answer.status_code == 200
    assert 'content="0;url=/orders/x?a=' in answer.text
    assert "<b>" not in answer.text
    again = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "navigate"}
    assert (await browser.get("/orders/x", headers=again)).json()["person"] == "owner"
    assert (await place.browser().get("/orders/x", headers=again)).status_code == 401


# ---- sessions


async def test_session_outlives_a_restart(place: Place) -> None:
    """An open page goes on after the server was started again."""
    browser = await place.known_browser()
    cookies = dict(browser.cookies)
    place.start()
    browser = place.browser()
    browser.cookies.update(cookies)
    assert (await browser.get("/")).json()["person"] == "owner"


async def test_session_ends_when_it_is_not_used(place: Place) -> None:
    """In use it lasts on and on; left alone for its time it is over."""
    browser = await place.known_browser()
    for _ in range(10):
        place.clock.advance(timedelta(days=20))
        assert (await browser.get("/")).status_code == 200
    place.clock.advance(timedelta(days=30))
    assert (await browser.get("/")).status_code == 401


async def test_store_holds_no_cookie_and_no_key(place: Place) -> None:
    """Who reads the notes cannot come in with what stands there."""
    key = await place.site.sessions.new_key()
    browser = await place.known_browser()
    notes = repr(place.notes.box)
    assert "web-session" in notes
    assert key not in notes
    assert browser.cookies["galaxy-session"] not in notes


async def test_made_up_cookies_open_nothing(place: Place) -> None:
    """Neither guesses nor the hashes themselves."""
    await place.known_browser()
    (session,) = await place.notes.list("web-session")
    for cookie in ("x", session.key, "x" * 5000):
        browser = place.browser()
        browser.cookies.set("galaxy-session", cookie)
        assert (await browser.get("/")).status_code == 401


async def test_logging_out_ends_the_session(house: Place) -> None:
    """On the server, not only in the browser; a foreign page cannot do it."""
    browser = house.browser()
    await browser.post("/login", data={"name": "ann", "password": PASSWORD}, headers=OWN)
    cookies = dict(browser.cookies)
    assert (
        await browser.post("/logout", headers={"origin": "http://x.example"})
    ).status_code == 403
    assert (await browser.post("/logout", headers=OWN)).status_code == 303
    assert not browser.cookies
    browser.cookies.update(cookies)
    assert (await browser.get("/")).headers["location"] == "/login"


async def test_https_cookie(hashed: str) -> None:
    """Behind a proxy with HTTPS the cookie goes no other way, and no other name can set it."""
    place = Place(
        WebAccess(is_https=True, hosts=frozenset({"g.example.org"}), users={"ann": hashed})
    )
    browser = place.browser(base="https://g.example.org")
    headers = {"origin": "https://g.example.org"}
    form = {"name": "ann", "password": PASSWORD}
    cookie = (await browser.post("/login", data=form, headers=headers)).headers["set-cookie"]
    assert cookie.startswith("__Host-galaxy-session=")
    assert "; Secure" in cookie
    plain = await browser.post("/login", data=form, headers={"origin": "http://g.example.org"})
    assert plain.status_code == 403


# ---- passwords


async def test_right_password_lets_in(house: Place) -> None:
    """Name and password give a session in that name, and lead on to where one wanted to go."""
    browser = house.browser()
    answer = await browser.get("/orders/x")
    assert answer.headers["location"] == "/login?next=%2Forders%2Fx"
    page = await browser.get(answer.headers["location"])
    assert 'name="password"' in page.text
    form = {"name": "ann", "password": PASSWORD, "next": "/orders/x"}
    answer = await browser.post("/login", data=form, headers=OWN)
    assert answer.headers["location"] == "/orders/x"
    assert (await browser.get("/orders/x")).json() == {"person": "ann", "way": "session"}


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\r\nb"]
)
async def test_login_leads_nowhere_else(house: Place, target: str) -> None:
    """A forged login link does not end on somebody else's page."""
    form = {"name": "ann", "password": PASSWORD, "next": target}
    answer = await house.browser().post("/login", data=form, headers=OWN)
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize("name,password", [("ann", "other"), ("ann", ""), ("zoe", PASSWORD)])
async def test_wrong_password_is_refused(house: Place, name: str, password: str) -> None:
    """Not with another's password, none, or an unknown name."""
    assert await log_in(house, name, password) == 403


async def test_guessing_gets_slower_and_slower(house: Place) -> None:
    """After some failures an address waits, longer each time; another address does not."""
    for _ in range(FREE_TRIES):
        assert await log_in(house, "ann", "wrong") == 403
    assert await log_in(house, "ann", PASSWORD) == 429
    assert await log_in(house, "ann", PASSWORD, "10.0.0.9") == 303
    house.clock.advance(timedelta(seconds=1))
    assert await log_in(house, "ann", "wrong") == 403
    house.clock.advance(timedelta(seconds=1))
    assert await log_in(house, "ann", PASSWORD) == 429
    house.clock.advance(timedelta(seconds=1))
    assert await log_in(house, "ann", PASSWORD) == 303


def test_pauses_grow_up_to_a_bound() -> None:
    """A thousand failures lock nobody out for good, and neighbours in IPv6 count as one."""
    clock = ManualClock()
    pauses = Pauses(clock)
    for number in range(1000):
        pauses.failed(f"2001:db8::{number:x}")
    assert pauses.left("2001:db8::ffff:1") == LONGEST
    assert pauses.left("2001:db8:0:1::1") == timedelta(0)
    pauses.succeeded("2001:db8::1")
    assert pauses.left("2001:db8::1") == timedelta(0)


async def test_new_password_ends_the_sessions_of_the_old(house: Place) -> None:
    """Who changes a password because it is known throws everybody out."""
    browser = house.browser()
    await browser.post("/login", data={"name": "ann", "password": PASSWORD}, headers=OWN)
    cookies = dict(browser.cookies)
    for users in ({"ann": hash_password("new")}, {"ben": house.access.users["ben"]}):
        house.access = WebAccess(users=users)
        house.start()
        browser = house.browser()
        browser.cookies.update(cookies)
        assert (await browser.get("/")).status_code == 303


def test_password_is_kept_as_a_hash(hashed: str) -> None:
    """It cannot be read back, and is salted; what is no hash matches nothing."""
    assert PASSWORD not in hashed
    assert matches(PASSWORD, hashed)
    assert not matches(PASSWORD + "x", hashed)
    assert hash_password(PASSWORD) != hashed
    assert is_hash(hashed)
    for wrong in ("", "plain", PASSWORD, "scrypt$1$8$1$x$y", f"{hashed}$", "scrypt$99999999$8$1$$"):
        assert not is_hash(wrong)
        assert not matches(PASSWORD, wrong)
    for bad in ("", "x" * 2000):
        with pytest.raises(ValueError, match="characters"):
            hash_password(bad)
