"""What the settings mean for the Telegram channel."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy_apps.home import Home
from galaxy_apps.settings import Machine, SettingsError
from galaxy_core.domain.status import Rate, Rates

if TYPE_CHECKING:
    from galaxy_adapters.channel_telegram import TelegramChannel, TelegramConfig, WebhookConfig
    from galaxy_apps.settings import RateSettings
    from galaxy_core.ports.note_store import NoteStore

TOTAL_BURST = 5
"""Messages to all chats that may go at once: with 25 a second still at most Telegram's 30."""
CLOUD_UPLOAD, LOCAL_UPLOAD = 50, 2000
"""Megabytes of the largest file that Telegram's server takes, and one of one's own."""
METHODS, FILES = "/bot", "/file/bot"
"""How the two base addresses end."""


def rates(settings: RateSettings) -> Rates:
    """How often Telegram is written to."""
    return Rates(
        chat=_rate(settings.chat_every, settings.chat_burst),
        group=_rate(settings.group_every, settings.group_burst),
        total=Rate(every=timedelta(seconds=1) / settings.total_per_second, burst=TOTAL_BURST),
        edit_every=settings.edit_every,
        group_edit_every=settings.group_edit_every,
    )


def _rate(every: timedelta, burst: int) -> Rate | None:
    return Rate(every=every, burst=burst) if every else None


def telegram_config(home: Home, machines: Sequence[Machine]) -> TelegramConfig:
    """The bot; raises `SettingsError` without a token."""
    from galaxy_adapters.channel_telegram import OutgoingRules, TelegramConfig

    bot = home.configuration.settings.telegram.bot
    config = TelegramConfig(
        token=home.configuration.telegram_token().reveal(),
        rates=rates(bot.rates),
        webhook=_webhook(home),
        max_file_bytes=bot.max_file_megabytes << 20,
        is_local=bot.is_local,
        outgoing=OutgoingRules(
            roots=_roots(home, machines),
            largest_bytes=(LOCAL_UPLOAD if bot.is_local else CLOUD_UPLOAD) << 20,
        ),
        has_drafts=bot.drafts,
    )
    if bot.base_url is None:
        return config
    from attrs import evolve

    files = bot.base_file_url or bot.base_url.removesuffix(METHODS) + FILES
    return evolve(config, base_url=bot.base_url, base_file_url=files)


def _roots(home: Home, machines: Sequence[Machine]) -> tuple[Path, ...]:
    """Where files may be sent from: the folders in which agents work."""
    projects = home.configuration.settings.projects.values()
    folders = [machine.repo_path for machine in machines]
    folders += [
        machine.repo_path / project.repo_path.expanduser()
        for project in projects
        if project.repo_path is not None
        for machine in machines
    ]
    return tuple(dict.fromkeys(folders))


def _webhook(home: Home) -> WebhookConfig | None:
    settings = home.configuration.settings.telegram.bot.webhook
    if settings is None:
        return None
    from galaxy_adapters.channel_telegram import WebhookConfig

    host, _, port = settings.listen.rpartition(":")
    return WebhookConfig(
        url=settings.url,
        # Telegram is told it at each start, so one for each start will do.
        secret=settings.secret.reveal() if settings.secret else secrets.token_urlsafe(32),
        host=host.strip("[]"),
        port=int(port),
    )


async def open_telegram(
    home: Home, machines: Sequence[Machine], notes: NoteStore, stack: AsyncExitStack
) -> TelegramChannel:
    """The channel, open as long as the stack is.

    Raises `SettingsError` where the libraries that it needs are not installed.
    """
    try:
        from galaxy_adapters.channel_telegram import TelegramChannel

        config = telegram_config(home, machines)
        channel = TelegramChannel(config, notes, home.clock(), home.incidents)
        return await stack.enter_async_context(channel)
    except ModuleNotFoundError as error:
        extras = "telegram,webhook" if error.name == "uvicorn" else "telegram"
        problem = (
            f"telegram_token: Telegram needs {error.name}, which is not installed; "
            f"run: pip install 'galaxy-protocol[{extras}]'"
        )
        raise SettingsError(problem) from error
