"""What the channel has to be told: the token, the server, how updates come."""

from __future__ import annotations

import re
from datetime import timedelta

from attrs import field, frozen

from galaxy_adapters.channel_telegram._outgoing import OutgoingRules
from galaxy_core.domain.status import Rates

CLOUD_URL = "https://api.telegram.org/bot"
CLOUD_FILE_URL = "https://api.telegram.org/file/bot"

_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]+")


def _is_token(_instance: object, _attribute: object, value: str) -> None:
    if not _TOKEN.fullmatch(value):
        # The value itself stays out of the message: a token with a blank in it is still a secret.
        raise ValueError(
            "the Telegram token must have the form 123456:letters, as @BotFather gave it"
        )


@frozen(kw_only=True)
class WebhookConfig:
    """Telegram calls us: for machines that can be reached from the internet."""

    url: str
    """What Telegram calls: `https://…`, usually of a proxy that passes it on to us."""
    secret: str = field(repr=False)
    """Telegram sends it along; who does not know it is turned away."""
    host: str = "127.0.0.1"
    """Where we listen."""
    port: int = 8443
    max_connections: int = 8
    """How many calls Telegram makes at a time."""
    is_removed_at_stop: bool = False
    """Whether Telegram is told to stop calling when the channel is closed.  It keeps messages for
    24 hours either way."""

    @secret.validator
    def _check_secret(self, _attribute: object, value: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", value):
            raise ValueError("the webhook's secret must be 1 to 256 of A-Z, a-z, 0-9, _ and -")


@frozen(kw_only=True)
class TelegramConfig:
    """Settings of one bot."""

    token: str = field(repr=False, validator=_is_token)
    base_url: str = CLOUD_URL
    """Where methods are called; the token is appended."""
    base_file_url: str = CLOUD_FILE_URL
    """Where files are fetched; the token is appended."""
    is_local: bool = False
    """Whether the server is a Bot API server of one's own in `--local` mode: it gives paths of
    files on its disk, and knows no limit for fetching them."""
    max_file_bytes: int = 20 << 20
    """Largest file that is taken from people; only a server of one's own gives out more."""
    rates: Rates = field(factory=Rates)
    """How often it is written to; the default is no limit."""
    outgoing: OutgoingRules = field(factory=OutgoingRules)
    """Which files may be sent to people; the default is none."""
    has_drafts: bool = True
    """Whether private chats see an answer grow."""
    webhook: WebhookConfig | None = None
    """None: we ask Telegram (long polling)."""
    poll_timeout: timedelta = timedelta(seconds=8)
    """How long Telegram may hold a question for updates; it caps that at 50 s.  No longer, so that
    a way that went silent is noticed within a quarter of a minute."""
    patience: timedelta = timedelta(seconds=20)
    """How long any other call may take."""

    @property
    def bot_id(self) -> str:
        """The bot's number: known before Telegram has been reached."""
        return self.token.partition(":")[0]
