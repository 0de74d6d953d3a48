"""What the settings mean for the page: where it listens, who gets in, and when it is refused."""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters._web import hash_password
from galaxy_apps.gateway import page_of
from galaxy_apps.home import Home
from galaxy_apps.settings import SettingsError, load
from galaxy_apps.wiring_gateway import GatewayPlan
from galaxy_apps.wiring_web import WebPlan
from galaxy_core.domain.people import Person, Role

TOKEN = "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x"
HASH = hash_password("open sesame")


def home(folder: Path, **settings: object) -> Home:
    """A project with these settings."""
    path = folder / ".galaxy" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"machines": {"lab": {}}, **settings}))
    path.chmod(0o600)
    return Home(load(path, environ={}))


def plan(folder: Path, *, host: str | None = None, **web: object) -> WebPlan:
    """The page with these settings."""
    return WebPlan(home(folder, web=web), 5000, host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "galaxy.example.org"])  # noqa: S104
def test_others_reach_it_only_with_a_password(tmp_path: Path, host: str) -> None:
    """By the setting or by the option: refused with a sentence before anything is opened."""
    with pytest.raises(SettingsError, match="galaxy config password"):
        plan(tmp_path, host=host)
    with pytest.raises(SettingsError, match="galaxy config password"):
        page_of(GatewayPlan(home(tmp_path, web={"host": host, "enabled": True})))
    assert not (tmp_path / ".galaxy" / "web-token").exists()
    assert plan(tmp_path, host=host, password=HASH).host == host


def test_a_gateway_opens_no_page_that_nobody_asked_for(tmp_path: Path) -> None:
    """An open port is a decision."""
    assert page_of(GatewayPlan(home(tmp_path, telegram_token=TOKEN))) is None
    page = page_of(GatewayPlan(home(tmp_path, web={"enabled": True, "port": 9000})))
    assert page is not None
    assert (page.host, page.port) == ("127.0.0.1", 9000)


@pytest.mark.parametrize("package", ["channel_web", "dashboard", "http_api"])
def test_without_its_libraries_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    """The page is an extra: who has not installed it is told, and nobody sees a traceback."""
    for name in [name for name in sys.modules if name.startswith(f"galaxy_adapters.{package}")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(f"galaxy_adapters.{package}", raising=False)
    monkeypatch.setitem(sys.modules, "starlette.routing", None)
    with pytest.raises(SettingsError, match=r"pip install 'galaxy-protocol\[web\]'"):
        plan(tmp_path)


def test_the_option_counts_before_the_setting(tmp_path: Path) -> None:
    """`--host` leads back to the loopback address, too."""
    assert plan(tmp_path, host="127.0.0.1").host == "127.0.0.1"
    assert plan(tmp_path).host == "127.0.0.1"
    assert WebPlan(home(tmp_path, web={"host": "0.0.0.0"}), 1, "::1").host == "::1"  # noqa: S104


def test_the_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    """The first start makes it, all later ones use it; a setting counts before it."""
    made = plan(tmp_path).token()
    file = tmp_path / ".galaxy" / "web-token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(made) >= 32
    assert plan(tmp_path).token() == made == file.read_text().strip()
    assert plan(tmp_path, token="x" * 16).token() == "x" * 16
    file.write_text("\n")
    with pytest.raises(SettingsError, match="remove it"):
        plan(tmp_path).token()


def test_who_gets_in(tmp_path: Path) -> None:
    """Names share the one password; without names it is the owner's; without it nobody logs in."""
    assert plan(tmp_path).access("t").users == {}
    assert plan(tmp_path, password=HASH).access("t").users == {"owner": HASH}
    access = plan(
        tmp_path, password=HASH, authorized_users=["ann", 7], names=["g.example"], session_days=2
    ).access("t")
    assert access.users == {"ann": HASH, "7": HASH}
    assert access.hosts == {"g.example"}
    assert access.session_life == timedelta(days=2)
    assert access.token == "t"


@pytest.mark.parametrize(
    "web, is_https",
    [
        ({}, False),
        ({"names": ["g.example"]}, True),
        ({"names": ["g.example"], "secure_cookies": False}, False),
        ({"secure_cookies": True}, True),
    ],
)
def test_cookies_are_secure_behind_a_proxy(
    tmp_path: Path, web: dict[str, object], *, is_https: bool
) -> None:
    """Names of a proxy mean HTTPS, unless the settings say something else."""
    page = WebPlan(home(tmp_path, web=web), 5000)
    assert page.access("t").is_https is is_https


def test_two_projects_have_two_cookies(tmp_path: Path) -> None:
    """Cookies know no ports: pages of two folders must not end each other's sessions."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = (plan(tmp_path / name).access("t").cookie for name in ("one", "two"))
    assert one != two
    assert plan(tmp_path / "one").access("t").cookie == one


@pytest.mark.parametrize(
    "settings, has_web, channels",
    [
        ({"web": {"enabled": True}}, None, ("web",)),
        ({"telegram_token": TOKEN}, None, ("telegram",)),
        ({"telegram_token": TOKEN, "web": {"enabled": False}}, None, ("telegram",)),
        ({"telegram_token": TOKEN, "web": {"enabled": True}}, None, ("telegram", "web")),
        ({}, True, ("web",)),
        ({"telegram_token": TOKEN}, True, ("telegram", "web")),
        ({"telegram_token": TOKEN, "web": {"enabled": True}}, False, ("telegram",)),
    ],
)
def test_which_channels_are_served(
    tmp_path: Path,
    settings: dict[str, object],
    *,
    has_web: bool | None,
    channels: tuple[str, ...],
) -> None:
    """The page's chat is a gateway's only where that is set, and `galaxy up`'s unless it is not."""
    assert GatewayPlan(home(tmp_path, **settings), has_web=has_web).channels == channels


def test_a_gateway_with_nobody_to_hear_says_what_to_set(tmp_path: Path) -> None:
    """Neither a token nor the page."""
    with pytest.raises(SettingsError, match=r"telegram_token: .*web\.enabled"):
        GatewayPlan(home(tmp_path))


def test_people_of_the_page(tmp_path: Path) -> None:
    """Its owner is always one of them; names of the settings have the roles given there."""
    place = home(
        tmp_path,
        authorized_users=[1],
        web={"authorized_users": ["ann"]},
        roles={"ann": "viewer"},
    )
    ann = Person(channel="web", id="ann", role=Role.VIEWER)
    owner = Person(channel="web", id="owner", role=Role.OWNER)
    phone = Person(channel="telegram", id="1", role=Role.OWNER)
    assert place.people_of(["web"]) == (ann, owner)
    assert place.people_of(["telegram"]) == (phone,)
    assert place.people_of(["telegram", "web"]) == (phone, ann, owner)
    assert place.named_people() == (phone, ann)
    named = home(tmp_path, web={"authorized_users": ["owner"]}, roles={"owner": "operator"})
    (only,) = named.people_of(["web"])
    assert only.role is Role.OPERATOR
