"""Settings: what the file may say, and what is said about it when it says something else."""

import json
import stat
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from galaxy_apps.settings import (
    Configuration,
    DispatcherKind,
    NetworkFolder,
    Secret,
    Settings,
    SettingsError,
    load,
    variables,
)
from galaxy_apps.settings.schema import MEANINGLESS_KEYS, keys_of, without_none
from galaxy_core.domain.people import Role
from galaxy_core.domain.policy import RecoveryPolicy, StalePolicy
from galaxy_core.domain.tidying import OldKind
from tests.support import PROJECT_ROOT

GOLDEN = Path(__file__).parent / "golden"
TOKEN = "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project's folder with an empty `.galaxy`."""
    (tmp_path / ".galaxy").mkdir()
    return tmp_path


def write(folder: Path, content: object, *, mode: int = 0o600) -> Path:
    """Write the settings file: text as it is, anything else as JSON."""
    path = folder / ".galaxy" / "config.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    path.chmod(mode)
    return path


def read(folder: Path, content: object, environ: Mapping[str, str] | None = None) -> Configuration:
    """Write the file and load it."""
    return load(write(folder, content), environ=environ or {}, cwd=folder)


def problems(
    folder: Path, content: object, environ: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """What is wrong with the file."""
    with pytest.raises(SettingsError) as raised:
        read(folder, content, environ)
    return raised.value.problems


def golden(folder: Path, name: str) -> Configuration:
    """Load one of the golden files."""
    return read(folder, (GOLDEN / name).read_text(encoding="utf-8"))


def test_the_original_example_is_read(folder: Path) -> None:
    """Who comes from the original starts with the old file, and one warning names what is gone."""
    configuration = golden(folder, "original_example.json")
    settings = configuration.settings
    assert settings.telegram.authorized_users == (123456789,)
    assert settings.hermes.poll_interval == timedelta(minutes=1)
    assert settings.hermes.executor_timeout == timedelta(minutes=10)
    assert settings.projects["main"].keywords == ("galaxy", "protocol")
    machine = configuration.machine()
    assert (machine.name, machine.repo_path) == ("lab-server", folder)
    assert machine.names == frozenset({"lab-server", "lab"})
    assert configuration.warnings == (
        (
            "settings of the original that mean nothing here: auth, deepwiki, digest_push, "
            "executor_poll_interval, features, ntfy_fallback, ntfy_server, ntfy_topic, voice"
        ),
    )


def test_every_key_arrives(folder: Path) -> None:
    """Each setting of the file reaches its attribute, in the domain's own type."""
    settings = golden(folder, "everything.json").settings
    assert settings.telegram.token == Secret(TOKEN)
    assert settings.roles == {"2": Role.OPERATOR, "77": Role.VIEWER}
    assert settings.pairing.minutes == 5
    assert settings.transcription.api_key == Secret("hear me")
    assert (settings.transcription.model, settings.transcription.language) == (
        "whisper-large",
        "en",
    )
    bot = settings.telegram.bot
    assert bot.base_file_url == "http://127.0.0.1:8081/file/bot"
    assert bot.webhook is not None
    assert bot.webhook.secret == Secret("knock-knock")
    assert bot.rates.chat_every == timedelta(seconds=0.5)
    assert (bot.stale_policy, bot.stale_after) == (StalePolicy.DROP, timedelta(minutes=1))
    assert (bot.allowed_groups, bot.order_rate, bot.queue_limit) == ((-1001,), 3, 4)
    assert not bot.drafts
    assert settings.web.port == 9000
    assert settings.web.authorized_users == ("ann", "7")
    assert settings.web.enabled
    assert settings.web.secure_cookies is False
    assert (settings.web.host, settings.web.names) == ("::1", ("galaxy.example.org",))
    assert settings.web.token == Secret("open-sesame-1234")
    assert settings.web.password is not None
    assert settings.web.session_days == 7
    assert settings.machines.machines["lab"].machine_name == "the-lab"
    hermes = settings.hermes
    assert hermes.dispatcher is DispatcherKind.OPENCODE_CLI
    assert (hermes.workers, hermes.max_attempts) == (2, 3)
    assert hermes.recovery is RecoveryPolicy.ASK
    assert hermes.executor_timeout == timedelta(seconds=90.5)
    assert hermes.request_timeout is None
    assert hermes.drain_timeout == timedelta(0)
    assert hermes.prompt_context
    assert not hermes.file_outbox
    assert hermes.network_folder is NetworkFolder.POLL
    assert settings.opencode.url == "http://127.0.0.1:4096"
    assert settings.opencode.password == Secret("open sesame")
    assert settings.limits.silence == timedelta(minutes=1)
    assert settings.limits.steps is None
    assert settings.audit.rotate_megabytes == 1
    assert not settings.audit.anchor
    assert settings.audit.anchor_file == folder.resolve() / "heads.txt"
    assert not settings.security.mask_secrets
    assert settings.security.order_group == "galaxy"
    assert settings.retention.ages()[OldKind.FILES] == timedelta(days=14)
    assert settings.retention.ages()[OldKind.AUDIT] == timedelta(days=400)
    assert settings.projects["site"].preamble == "Be brief."


def test_the_golden_file_leaves_no_setting_out(folder: Path) -> None:
    """A new setting must be added to the golden file, or nobody tests that it can be set."""
    text = (GOLDEN / "everything.json").read_text(encoding="utf-8")
    raw = json.loads(text)
    assert keys_of(Settings).keys() - raw.keys() == {"machine_name", "repo_path"}
    for path, kind in objects(Settings):
        there = raw
        for step in path:
            there = there[step]
        assert keys_of(kind).keys() == there.keys()


def objects(cls: type, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type]]:
    """The objects inside an object of the file, at any depth, each with its path."""
    for key, attribute in keys_of(cls).items():
        kind = without_none(attribute.type)[0]
        if isinstance(kind, type) and attrs.has(kind):
            yield (*path, key), kind
            yield from objects(kind, (*path, key))


def test_nothing_set_means_the_defaults(folder: Path) -> None:
    """An empty object is a whole configuration."""
    assert read(folder, {}).settings == Settings()


def test_every_problem_is_reported_at_once(folder: Path) -> None:
    """Who corrects a file gets one list, each line with the path of its fault."""
    found = problems(
        folder,
        {
            "workers": 0,
            "authorized_users": [1, "2", True],
            "poll_interval": "soon",
            "dispatcher": "opencode-sever",
            "limits": [],
            "machines": {"lab": {"repo_path": 5, "hots": ""}, "roof": "x"},
            "projects": {"site": {"keywords": "web"}},
            "maxattempts": 3,
        },
    )
    assert found == (
        "authorized_users[1]: must be a whole number, not text",
        "authorized_users[2]: must be a whole number, not true or false",
        (
            'dispatcher: must be one of "opencode-server", "opencode-cli", "scripted", '
            'not "opencode-sever"; did you mean "opencode-server"?'
        ),
        "limits: must be an object, not a list",
        'machines.lab.hots: there is no such setting; did you mean "host"?',
        "machines.lab.repo_path: must be text, not a whole number",
        "machines.roof: must be an object, not text",
        'maxattempts: there is no such setting; did you mean "max_attempts"?',
        "poll_interval: must be a number, not text",
        "projects.site.keywords: must be a list, not text",
        "workers: must be at least 1, not 0",
    )


@pytest.mark.parametrize(
    "content, problem",
    [
        ({"machines": {"a": {}}, "default_machine": "b"}, "default_machine: there is no machine"),
        ({"machines": {"a": {}}, "machine_name": "b"}, "machine_name: it stands beside"),
        ({"machines": {"a": {}, "A": {}}}, "machines.A: 'a' has that name already"),
        ({"machines": {" ": {}}}, "machines: a machine's name must not be empty"),
        ({"opencode": {"url": "localhost:4096"}}, "opencode.url: it must be an address"),
        ({"opencode": {"url": "http://[::1"}}, "opencode.url: it is not an address"),
        ({"opencode": {"url": "http://u:p@h"}}, "opencode.url: a password in it"),
        ({"opencode": {"model": "claude"}}, 'opencode.model: "claude" must be written as'),
        ({"web": {"port": 70000}}, "web.port: must be at most 65535"),
        ({"telegram": {"base_urls": ""}}, "telegram.base_urls: there is no such setting; did you"),
        ({"telegram": {"base_url": "http://h"}}, "telegram.base_url: it must end in /bot"),
        ({"telegram": {"base_url": "h:1/bot"}}, "telegram.base_url: it must be an address"),
        ({"telegram": {"base_file_url": "http://[::1]/bot"}}, "telegram.base_file_url: it needs"),
        ({"telegram": {"allowed_groups": [5]}}, "telegram.allowed_groups[0]: ids of groups are"),
        ({"telegram": {"stale_policy": "asks"}}, "telegram.stale_policy: must be one of"),
        ({"telegram": {"rates": {"chat_burst": 0}}}, "telegram.rates.chat_burst: must be at least"),
        ({"telegram": {"max_file_megabytes": 21}}, "telegram.max_file_megabytes: more than 20"),
        ({"telegram": {"is_local": True}}, "telegram.is_local: it is about the server at"),
        ({"web": {"host": ""}}, "web.host: it is empty"),
        ({"web": {"password": "hunter2"}}, "web.password: it must be a hash"),
        ({"web": {"token": "short"}}, "web.token: it must have at least 16"),
        ({"web": {"names": ["https://h/x"]}}, "web.names[0]: it must be a name"),
        ({"web": {"session_days": 0}}, "web.session_days: must be at least 1"),
        ({"telegram": {"webhook": {}}}, "telegram.webhook.url: it is missing"),
        ({"telegram": {"webhook": {"url": "http://h"}}}, "telegram.webhook.url: Telegram calls"),
        (
            {"telegram": {"webhook": {"url": "https://h", "listen": "h:x"}}},
            "telegram.webhook.listen: it must be host:port",
        ),
        (
            {"telegram": {"webhook": {"url": "https://h", "secret": "a b"}}},
            "telegram.webhook.secret: it must be 1 to 256",
        ),
        ({"roles": {"ann": "owner"}}, 'roles.ann: roles belong to ids, which are numbers; "ann"'),
        ({"roles": {"007": "owner"}}, "roles.007: roles belong to ids"),
        ({"roles": {"1": "admin"}}, "roles.1: must be one of"),
        ({"transcription": {"url": "h"}}, "transcription.url: it must be an address"),
        ({"alerts": {"url": "ntfy.sh/x"}}, "alerts.url: it must be an address"),
        ({"alerts": {"url": "https://a:b@ntfy.sh/x"}}, "alerts.url: a password"),
        ({"alerts": {"token": "t"}}, "alerts.token: it goes to alerts.url"),
        ({"alerts": {"quiet_hours": "at night"}}, "alerts.quiet_hours: it must be two times"),
        ({"alerts": {"quiet_hours": "24:00-07:00"}}, "alerts.quiet_hours: it must be two times"),
        ({"pairing": {"minutes": 0}}, "pairing.minutes: must be at least 1"),
        ({"executor_timeout": 1e300}, "executor_timeout: must be a number of seconds"),
        ({"workers": None}, "workers: must be a whole number, not null"),
        ({"workers": 2.5}, "workers: must be a whole number, not a number"),
        ({"default_machine": "a\0b"}, "default_machine: must not hold a NUL"),
        ('{"workers": 1, "workers": 2}', "workers: it is given twice"),
        ('{"workers": 1,}', "line 1, column 15: not JSON"),
        ("[]", "it must hold one JSON object"),
        ("\ud800".encode("utf-16", "surrogatepass").decode("latin-1"), "line 1"),
    ],
)
def test_contradictions_are_named(folder: Path, content: object, problem: str) -> None:
    """A fault that no type shows is said in words too, with its place."""
    (found,) = problems(folder, content)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    "content, doubts",
    [
        ({"authorized_users": [1], "roles": {"1": "viewer"}}, []),
        ({"web": {"authorized_users": ["ann"]}, "roles": {"ann": "viewer"}}, []),
        ({"roles": {"1": "viewer"}}, ["roles.1: this person is on no list"]),
        ({"web": {"host": "::1"}}, []),
        ({"web": {"host": "192.0.2.1"}}, ["web.host: others could reach it there"]),
        ({"telegram": {"base_url": "http://127.0.0.1:1/bot"}}, []),
        (
            {"telegram": {"base_url": "http://bots.example.org/bot"}},
            ["telegram.base_url: the token goes over the network unencrypted"],
        ),
        (
            {
                "telegram": {
                    "base_url": "http://localhost:1/bot",
                    "webhook": {"url": "http://192.0.2.1:2"},
                }
            },
            [],
        ),
    ],
)
def test_what_may_be_a_mistake_is_warned_of(
    folder: Path, content: object, doubts: list[str]
) -> None:
    """What is allowed but hardly meant is said at the start, and stops nothing."""
    found = read(folder, content).warnings
    assert len(found) == len(doubts)
    assert all(said.startswith(doubt) for said, doubt in zip(found, doubts, strict=True))


def test_a_local_bot_api_can_be_named_for_one_process(folder: Path) -> None:
    """Tests and trials point the gateway elsewhere without touching the file."""
    variables = {
        "GALAXY_TELEGRAM_BASE_URL": "http://127.0.0.1:1/bot",
        "GALAXY_TELEGRAM_BASE_FILE_URL": "http://127.0.0.1:1/file/bot",
    }
    bot = read(folder, {"telegram": {"order_rate": 3}}, variables).settings.telegram.bot
    assert (bot.base_url, bot.base_file_url) == tuple(variables.values())
    assert bot.order_rate == 3
    (found,) = problems(folder, {}, {"GALAXY_TELEGRAM_BASE_URL": "http://127.0.0.1:1"})
    assert found.startswith("GALAXY_TELEGRAM_BASE_URL: it must end in /bot")


def test_meaningless_keys_are_no_settings() -> None:
    """A key is either ignored with a warning or has a meaning, never both."""
    assert not MEANINGLESS_KEYS & keys_of(Settings).keys()


def test_the_environment_counts_before_the_file(folder: Path) -> None:
    """What is set for one process alone wins; an empty variable is none."""
    configuration = read(
        folder,
        {"workers": 2, "poll_interval": 60, "opencode": {"agent": "plan"}},
        {
            "GALAXY_WORKERS": "7",
            "GALAXY_POLL_INTERVAL": "",
            "GALAXY_EXECUTOR_TIMEOUT": "90.5",
            "GALAXY_PROMPT_CONTEXT": "yes",
            "GALAXY_TELEGRAM_TOKEN": TOKEN,
            "OPENCODE_ATTACH_URL": "http://127.0.0.1:5000",
            "OPENCODE_SERVER_PASSWORD": "12345",
        },
    )
    settings = configuration.settings
    assert settings.hermes.workers == 7
    assert settings.hermes.poll_interval == timedelta(minutes=1)
    assert settings.hermes.executor_timeout == timedelta(seconds=90.5)
    assert settings.hermes.prompt_context
    assert settings.telegram.token == Secret(TOKEN)
    assert settings.opencode.url == "http://127.0.0.1:5000"
    assert settings.opencode.password == Secret("12345")
    assert settings.opencode.agent == "plan"


def test_a_wrong_variable_is_named_as_one(folder: Path) -> None:
    """Whoever set the variable looks for its name, not for a key in a file."""
    environ = {"GALAXY_WORKERS": "many", "GALAXY_PROMPT_CONTEXT": "perhaps", "GALAXY_RECOVERY": "x"}
    found = problems(folder, {"workers": 1}, environ)
    assert [problem.split(":")[0] for problem in found] == [
        "GALAXY_PROMPT_CONTEXT",
        "GALAXY_RECOVERY",
        "GALAXY_WORKERS",
    ]


def test_a_placeholder_is_refused_only_where_a_token_is_needed(folder: Path) -> None:
    """Hermes without Telegram runs with the example's token; the bot does not."""
    configuration = read(folder, {"telegram_token": "CHANGE-ME"})
    with pytest.raises(SettingsError, match="telegram_token: it still says CHANGE-ME"):
        configuration.telegram_token()
    with pytest.raises(SettingsError, match="telegram_token: it is not set"):
        read(folder, {}).telegram_token()
    assert read(folder, {"telegram_token": TOKEN}).telegram_token() == Secret(TOKEN)


def test_what_is_no_token_is_refused_without_being_quoted(folder: Path) -> None:
    """Half a token, or one with a blank in it, is still a secret."""
    configuration = read(folder, {"telegram_token": f" {TOKEN}"})
    with pytest.raises(SettingsError, match="telegram_token: it is none") as raised:
        configuration.telegram_token()
    assert TOKEN not in str(raised.value)


def test_secrets_never_show_themselves(folder: Path) -> None:
    """Neither repr nor str nor a format of the settings holds a secret; `secrets()` does."""
    settings = golden(folder, "everything.json").settings
    hashed = "scrypt$32768$8$1$c2FsdHNhbHQ=$aGFzaGhhc2hoYXNoaGFzaA=="
    alerts = ("https://ntfy.sh/galaxy", "ntfy-token")
    secrets = (TOKEN, "open sesame", "hear me", "open-sesame-1234", hashed, *alerts, "knock-knock")
    for shown in (repr(settings), str(settings), f"{settings.telegram.token:>20}"):
        for secret in secrets:
            assert secret not in shown
    assert settings.secrets() == secrets
    assert TOKEN not in repr(attrs.asdict(settings))


def test_a_wrong_secret_is_not_quoted(folder: Path) -> None:
    """The complaint about a value of the wrong type does not repeat the value."""
    (found,) = problems(folder, {"opencode": {"password": 987654321}})
    assert found == "opencode.password: must be text, not a whole number"


@pytest.mark.parametrize(
    "mode, content, is_warned",
    [
        (0o600, {"telegram_token": TOKEN}, False),
        (0o640, {"telegram_token": TOKEN}, True),
        (0o604, {"opencode": {"password": "x"}}, True),
        (0o644, {"workers": 1}, False),
    ],
)
def test_an_open_file_with_secrets_is_warned_of(
    folder: Path, mode: int, content: object, *, is_warned: bool
) -> None:
    """Others who can read the file can read the token; strictly, that is an error."""
    path = write(folder, content, mode=mode)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    warnings = load(path, environ={}, cwd=folder).warnings
    assert ["chmod 600" in warning for warning in warnings] == [True] * is_warned
    if is_warned:
        with pytest.raises(SettingsError, match="chmod 600"):
            load(path, environ={}, cwd=folder, is_strict=True)


def test_the_nearest_file_upwards_is_taken(folder: Path) -> None:
    """Like git: from any folder of the project the same settings hold."""
    path = write(folder, {"workers": 2})
    deep = folder / "src" / "deep"
    deep.mkdir(parents=True)
    configuration = load(environ={}, cwd=deep)
    assert (configuration.path, configuration.folder) == (path, folder)
    named = load(environ={"GALAXY_CONFIG": str(path)}, cwd=Path("/"))
    assert named == configuration


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    """A misspelt --config never falls back to other settings."""
    with pytest.raises(SettingsError, match="no such file"):
        load(tmp_path / "none.json", environ={}, cwd=tmp_path)


def test_without_a_file_the_marked_folder_is_the_machine(tmp_path: Path) -> None:
    """A folder with orders in it works without any settings, under every target name."""
    (tmp_path / ".sisyphus").mkdir()
    deep = tmp_path / "deep"
    deep.mkdir()
    configuration = load(environ={}, cwd=deep)
    machine = configuration.machine()
    assert configuration.path is None
    assert (machine.repo_path, machine.names) == (tmp_path, None)
    assert configuration.machine("lab").names == frozenset({"lab"})
    (tmp_path / ".sisyphus").rmdir()
    assert load(environ={}, cwd=deep).machine().repo_path == deep


def test_every_setting_and_variable_is_in_the_reference() -> None:
    """docs/reference/settings.md lists all there is."""
    text = (PROJECT_ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    containers = {".".join(path) for path, _ in objects(Settings)}
    nested = {
        f"{'.'.join(path)}.{inner}" for path, kind in objects(Settings) for inner in keys_of(kind)
    } - containers
    scalar = keys_of(Settings).keys() - containers
    assert "telegram.webhook.url" in nested
    for name in nested | scalar | set(variables()):
        assert f"`{name}`" in text, name


def test_without_a_word_only_what_nobody_reads_again_goes(folder: Path) -> None:
    """A person's orders, responses, files, chat and trail stay for ever unless the settings say."""
    ages = load(None).settings.retention.ages()
    assert ages == {OldKind.LETTERS: timedelta(days=90), OldKind.LEFTOVERS: timedelta(days=7)}
