"""`galaxy-gateway`: what stands in its way, and what the settings mean for it."""

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_adapters._files import exclusive_lock
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.gateway import main
from galaxy_apps.home import Home
from galaxy_apps.settings import load
from galaxy_apps.wiring_gateway import GatewayPlan, build_gateway, gateway_config
from galaxy_apps.wiring_telegram import rates, telegram_config
from galaxy_core.domain.people import Person, Role
from galaxy_core.domain.policy import StalePolicy
from galaxy_core.domain.status import Rate
from galaxy_core.wire.layout import Layout

TOKEN = "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x"
DEFAULTS = {
    "machines": {"lab": {}},
    "telegram_token": TOKEN,
    # Nothing listens there.
    "telegram": {"base_url": "http://127.0.0.1:1/bot"},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored_logging: None) -> Path:
    """The current folder is a project with a token; the log is put back after it."""
    for name in ("GALAXY_CONFIG", "GALAXY_TELEGRAM_TOKEN", "GALAXY_TELEGRAM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".galaxy").mkdir()
    configure(tmp_path)
    return tmp_path


def configure(folder: Path, **settings: object) -> None:
    """Write the settings: the defaults, and others in their place."""
    path = folder / ".galaxy" / "config.json"
    path.write_text(json.dumps(DEFAULTS | settings))
    path.chmod(0o600)


def plan() -> GatewayPlan:
    """The gateway as the current folder's settings describe it."""
    return GatewayPlan(Home(load()))


@pytest.mark.parametrize(
    "settings, words, sentence",
    [
        ({"telegram_token": None}, (), "telegram_token: it is not set, so there is nothing"),
        ({"telegram_token": None}, ("--channel", "telegram"), "telegram_token: it is not set"),
        ({"telegram_token": "123:CHANGE-ME"}, (), "telegram_token: it still says CHANGE-ME"),
        ({"telegram_token": "secret"}, (), "telegram_token: it is none"),
        ({"machines": {"a": {"host": "192.0.2.7"}}}, (), "machines: none of them is this host"),
        ({"machines": {"a": {"repo_path": "no"}}}, (), "machines.a.repo_path: there is no folder"),
        ({"telegram": {"stale": 1}}, (), "telegram.stale: there is no such setting"),
    ],
)
def test_settings_that_make_no_gateway_are_one_sentence(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, object],
    words: tuple[str, ...],
    sentence: str,
) -> None:
    """Who starts it without a token, or in the wrong place, reads what to set; no secret shows."""
    configure(project, **settings)
    assert main(words) == ExitCode.SETTINGS
    err = capsys.readouterr().err
    assert err.startswith("galaxy-gateway: ")
    assert sentence in err
    assert "secret" not in err
    assert not Layout(project).state.exists()


def test_an_unknown_channel_is_a_usage_error(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The channels that there are stand in the complaint."""
    with pytest.raises(SystemExit) as raised:
        main(["--channel", "pigeon"])
    assert raised.value.code == ExitCode.USAGE
    assert "telegram" in capsys.readouterr().err


def test_a_second_gateway_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two would take messages from each other; the one that runs is named."""
    lock = Layout(project).gateway_lock
    lock.parent.mkdir(parents=True)
    with exclusive_lock(lock):
        lock.write_text(f"{os.getpid()}\n")
        assert main([]) == ExitCode.ALREADY_RUNNING
    err = capsys.readouterr().err
    assert f"another gateway (process {os.getpid()}) serves {project}" in err


def test_a_folder_that_cannot_be_written_is_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gateway says at the start that it could keep nothing."""
    (project / ".sisyphus").write_text("a file where the folder should be")
    assert main([]) == ExitCode.NO_STORAGE
    assert "a file stands where a folder should be" in capsys.readouterr().err


def test_what_the_settings_mean_for_the_gateway(project: Path) -> None:
    """Every limit of the file reaches the service, in its own words."""
    configure(
        project,
        authorized_users=[5, 6, 5],
        roles={"6": "viewer", "9": "owner"},
        machines={"lab": {}, "Away": {"host": "192.0.2.7"}},
        pairing={"minutes": 3},
        projects={"site": {"keywords": ["web"]}},
        limits={"payload_characters": 100},
        telegram={
            "stale_policy": "drop",
            "stale_after": 60,
            "allowed_groups": [-7],
            "order_rate": 2,
            "queue_limit": 3,
            "drafts": False,
        },
    )
    config = gateway_config(plan())
    assert config.people == (
        Person(channel="telegram", id="5", role=Role.OWNER),
        Person(channel="telegram", id="6", role=Role.VIEWER),
    )
    assert config.other_machines == {"away"}
    assert config.pairing_time == timedelta(minutes=3)
    assert config.projects == {"site": ("web",)}
    assert config.order_limits.payload_characters == 100
    assert (config.staleness.run_up_to, config.staleness.then) == (
        timedelta(minutes=1),
        StalePolicy.DROP,
    )
    assert config.groups == {("telegram", "-7")}
    assert (config.orders_per_minute, config.waiting_orders, config.has_drafts) == (2, 3, False)


def test_what_the_settings_mean_for_telegram(project: Path) -> None:
    """Token, addresses and webhook; the files' address follows from the methods'."""
    configure(
        project,
        telegram={
            "base_url": "http://127.0.0.1:1/bot",
            "webhook": {"url": "https://h/t", "listen": "[::1]:90"},
            "drafts": False,
        },
        projects={"site": {"repo_path": "site"}, "talk": {}},
    )
    home = Home(load())
    config = telegram_config(home, plan().machines)
    assert config.token == TOKEN
    assert config.base_file_url == "http://127.0.0.1:1/file/bot"
    assert config.webhook is not None
    assert (config.webhook.host, config.webhook.port) == ("::1", 90)
    assert len(config.webhook.secret) >= 32
    again = telegram_config(home, ()).webhook
    assert again is not None
    assert again.secret != config.webhook.secret
    assert TOKEN not in repr(config)
    assert not config.has_drafts
    assert config.outgoing.roots == (project, project / "site")


def test_the_rates_keep_what_telegram_bears(project: Path) -> None:
    """No group gets more than 20 messages a minute, all chats no more than 30 a second."""
    found = rates(load().settings.telegram.bot.rates)
    assert found.chat == Rate(every=timedelta(seconds=1), burst=5)
    for rate, span, most in (
        (found.group, timedelta(minutes=1), 20),
        (found.total, timedelta(seconds=1), 30),
    ):
        assert rate is not None
        assert rate.burst + span / rate.every <= most


async def test_machines_that_share_a_folder_share_outbox_and_trail(project: Path) -> None:
    """A letter is delivered once, however many machines its outbox belongs to."""
    (project / "own").mkdir()
    machines = {"lab": {}, "roof": {}, "shed": {"repo_path": "own"}}
    configure(project, machines=machines, default_machine="roof")
    async with build_gateway(plan()) as caduceus:
        ports = caduceus._ports
        assert list(ports.machines) == ["roof", "lab", "shed"]
        assert [box.root for box in ports.mailboxes] == [project, project / "own"]
        assert [box.name for box in ports.mailboxes] == ["roof", "shed"]
        assert ports.transcriber is None
        assert list(ports.menus) == ["telegram"]


async def test_a_gateway_beside_its_machines_has_an_outbox_of_its_own(project: Path) -> None:
    """What it says itself goes out even where every machine lies elsewhere."""
    (project / "own").mkdir()
    configure(
        project,
        machines={"lab": {"repo_path": "own"}},
        transcription={"url": "http://127.0.0.1:1/v1"},
    )
    async with build_gateway(plan()) as caduceus:
        ports = caduceus._ports
        assert [box.name for box in ports.mailboxes] == ["gateway", "lab"]
        assert ports.find_machine("LAB") is not None
        assert ports.transcriber is not None
