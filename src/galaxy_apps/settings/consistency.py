"""Whether settings that are good by themselves fit together."""

from __future__ import annotations

import re

from galaxy_apps.settings.alerts import AlertSettings
from galaxy_apps.settings.channels import TelegramSettings, WebhookSettings, WebSettings
from galaxy_apps.settings.model import Settings
from galaxy_apps.settings.problems import nearest

_WEBHOOK_SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""What the Bot API allows as `secret_token`."""
_SHORTEST_TOKEN = 16
CLOUD_MEGABYTES = 20
"""Largest file that Telegram's own server hands out."""
_PASSWORD_HASH = re.compile(r"scrypt\$[0-9]+\$[0-9]+\$[0-9]+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]+")
_PORTS = range(1, 65_536)
_BEFORE_THE_TOKEN = "/bot"  # noqa: S105  a path
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def contradictions(settings: Settings) -> list[str]:
    """Values that are good by themselves and wrong together, or wrong in a way no type shows."""
    machines = settings.machines
    problems = []
    names: dict[str, str] = {}
    for name, machine in machines.machines.items():
        if not name.strip():
            problems.append("machines: a machine's name must not be empty")
        problems += [
            f"machines.{name}: {names[each]!r} has that name already"
            for each in {n.casefold() for n in (name, machine.machine_name) if n}
            if names.setdefault(each, name) != name
        ]
    if machines.machines and machines.legacy_name:
        problems.append('machine_name: it stands beside "machines"; keep only one of them')
    default = machines.default_machine
    if machines.machines and default and default.casefold() not in names:
        hint = nearest(default, machines.machines)
        problems.append(f"default_machine: there is no machine {default!r} in machines{hint}")
    url = settings.opencode.url
    if url is not None:
        example = "http://127.0.0.1:4096"
        problems += _url_problems("opencode.url", url, example, "use opencode.password")
    url = settings.transcription.url
    if url is not None:
        example = "https://api.openai.com/v1"
        problems += _url_problems("transcription.url", url, example, "use transcription.api_key")
    problems += _alert_problems(settings.alerts)
    problems += _telegram_problems(settings.telegram)
    problems += _web_problems(settings.web)
    problems += [
        f'roles.{person}: roles belong to ids, which are numbers; "{person}" is none'
        for person in settings.roles
        if not _is_id(person) and person not in settings.web.authorized_users
    ]
    models = {"opencode.model": settings.opencode.model}
    models |= {f"projects.{name}.model": p.model for name, p in settings.projects.items()}
    problems += [
        f'{path}: "{model}" must be written as provider/model'
        for path, model in models.items()
        if model is not None and not all(model.partition("/")[::2])
    ]
    return problems


def doubts(settings: Settings) -> list[str]:
    """What deserves a look and stops nothing, one sentence each."""
    found = []
    known = {str(each) for each in settings.telegram.authorized_users}
    known |= set(settings.web.authorized_users)
    found += [
        f"roles.{person}: this person is on no list of authorised users, so the role has no effect"
        for person in settings.roles
        if person not in known
    ]
    if settings.web.password is None and settings.web.host not in _LOOPBACK:
        found.append(
            "web.host: others could reach it there, so the page is not served without a password; "
            "run: galaxy config password"
        )
    for name in ("base_url", "base_file_url"):
        url = getattr(settings.telegram.bot, name)
        if url is not None and _is_open_to_all(url):
            found.append(
                f"telegram.{name}: the token goes over the network unencrypted; use https, or a "
                "server on this host"
            )
    return found


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and text == str(int(text))


def _alert_problems(alerts: AlertSettings) -> list[str]:
    problems = []
    if alerts.url is not None:
        example = "https://ntfy.sh/a-name-that-nobody-guesses"
        problems += _url_problems("alerts.url", alerts.url.reveal(), example, "use alerts.token")
    if alerts.token is not None and alerts.url is None:
        problems.append("alerts.token: it goes to alerts.url; set that")
    try:
        alerts.quiet  # noqa: B018 - it raises
    except ValueError as error:
        problems.append(f"alerts.quiet_hours: {error}")
    return problems


def _telegram_problems(telegram: TelegramSettings) -> list[str]:
    problems = []
    for name, example in (
        ("base_url", "http://127.0.0.1:8081/bot"),
        ("base_file_url", "http://127.0.0.1:8081/file/bot"),
    ):
        url, path = getattr(telegram.bot, name), f"telegram.{name}"
        if url is None:
            continue
        faults = _url_problems(path, url, example, "use telegram_token")
        if not faults and not url.endswith(_BEFORE_THE_TOKEN):
            faults = [f"{path}: it must end in /bot, where the token follows, like {example}"]
        problems += faults
    if telegram.bot.base_file_url is not None and telegram.bot.base_url is None:
        problems.append("telegram.base_file_url: it needs telegram.base_url beside it")
    problems += [
        f"telegram.allowed_groups[{n}]: ids of groups are negative, not {group}"
        for n, group in enumerate(telegram.bot.allowed_groups)
        if group >= 0
    ]
    if telegram.bot.is_local and telegram.bot.base_url is None:
        problems.append("telegram.is_local: it is about the server at telegram.base_url; set that")
    if telegram.bot.max_file_megabytes > CLOUD_MEGABYTES and not telegram.bot.is_local:
        problems.append(
            f"telegram.max_file_megabytes: more than {CLOUD_MEGABYTES} MB is handed out only by a "
            "server of your own that runs with --local (telegram.base_url, telegram.is_local)"
        )
    if telegram.bot.webhook is not None:
        # A Bot API server of one's own may call plain addresses too.
        is_plain_allowed = telegram.bot.base_url is not None
        problems += _webhook_problems(telegram.bot.webhook, is_plain_allowed=is_plain_allowed)
    return problems


def _web_problems(web: WebSettings) -> list[str]:
    problems = []
    if not web.host:
        problems.append("web.host: it is empty; 127.0.0.1 is this machine alone")
    if web.password is not None and not _PASSWORD_HASH.fullmatch(web.password.reveal()):
        problems.append(
            "web.password: it must be a hash, never the password itself; "
            "run: galaxy config password"
        )
    if web.token is not None and len(web.token.reveal()) < _SHORTEST_TOKEN:
        problems.append(f"web.token: it must have at least {_SHORTEST_TOKEN} characters")
    problems += [
        f'web.names[{n}]: it must be a name like galaxy.example.org, without port, not "{name}"'
        for n, name in enumerate(web.names)
        if not _HOST_NAME.fullmatch(name)
    ]
    return problems


def _webhook_problems(webhook: WebhookSettings, *, is_plain_allowed: bool) -> list[str]:
    where, problems = "telegram.webhook", []
    if webhook.url:
        example, instead = "https://bot.example.org/telegram", "use telegram.webhook.secret"
        problems += _url_problems(f"{where}.url", webhook.url, example, instead)
        if not problems and not is_plain_allowed and not webhook.url.startswith("https:"):
            problems.append(f"{where}.url: Telegram calls https addresses only")
    else:
        problems.append(f"{where}.url: it is missing; Telegram must know what to call")
    host, _, port = webhook.listen.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and int(port) in _PORTS):
        problems.append(f"{where}.listen: it must be host:port like 127.0.0.1:8443")
    if webhook.secret is not None and not _WEBHOOK_SECRET.fullmatch(webhook.secret.reveal()):
        problems.append(f"{where}.secret: it must be 1 to 256 of A-Z, a-z, 0-9, _ and -")
    return problems


def _is_open_to_all(url: str) -> bool:
    """Whether what is sent there can be read on the way."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def _url_problems(path: str, url: str, example: str, instead: str) -> list[str]:
    from urllib.parse import urlsplit  # costs a command that needs none several milliseconds

    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return [f"{path}: it is not an address"]
    if not is_good:
        return [f"{path}: it must be an address like {example}"]
    if parts.password or parts.username:
        return [f"{path}: a password in it would be logged; {instead}"]
    return []
