"""Settings of the ways to people: Telegram, the web, who gets in, spoken words."""

from __future__ import annotations

from datetime import timedelta
from typing import NewType

from attrs import field, frozen

from galaxy_apps.settings.keys import key
from galaxy_apps.settings.secret import Secret
from galaxy_core.domain.policy import StalePolicy

UserName = NewType("UserName", str)
"""Name of a user of the web channel; a number in the file is taken as its digits."""


@frozen(kw_only=True)
class WebhookSettings:
    """Telegram calls us, instead of being asked."""

    url: str = field(default="", metadata=key("url"))
    """The public address that Telegram calls: HTTPS, as Telegram demands."""
    listen: str = field(default="127.0.0.1:8443", metadata=key("listen"))
    """`host:port` to listen on.  The loopback address: a proxy that ends HTTPS stands before it."""
    secret: Secret | None = field(default=None, metadata=key("secret"))
    """Sent along with every call, so that nobody else can call: 1 to 256 of A-Z a-z 0-9 _ -.
    None: one is made up at each start."""


@frozen(kw_only=True)
class RateSettings:
    """How often Telegram is written to.

    Telegram's own words are "about one message a second in a chat, 20 a minute in a group, 30 a
    second in all", with short bursts borne.  What it refuses all the same is waited out.
    """

    chat_every: timedelta = field(
        default=timedelta(seconds=1), metadata=key("chat_every", minimum=0)
    )
    """In a private chat one more message may go after this time ..."""
    chat_burst: int = field(default=5, metadata=key("chat_burst", minimum=1, maximum=100))
    """... and so many at once after a rest: a status and a long answer's four parts."""
    group_every: timedelta = field(
        default=timedelta(seconds=4), metadata=key("group_every", minimum=0)
    )
    """The same in a group.  15 a minute and a burst of 5 are never more than 20 in any minute."""
    group_burst: int = field(default=5, metadata=key("group_burst", minimum=1, maximum=100))
    """As `chat_burst`, in a group."""
    total_per_second: int = field(
        default=25, metadata=key("total_per_second", minimum=1, maximum=1000)
    )
    """For all chats together."""
    edit_every: timedelta = field(
        default=timedelta(seconds=2), metadata=key("edit_every", minimum=0)
    )
    """Shortest time between two states of one status message in a private chat."""
    group_edit_every: timedelta = field(
        default=timedelta(seconds=5), metadata=key("group_edit_every", minimum=0)
    )
    """The same in a group, where edits count among the 20."""


@frozen(kw_only=True)
class TelegramBotSettings:
    """How the bot behaves."""

    base_url: str | None = field(
        default=None, metadata=key("base_url", env="GALAXY_TELEGRAM_BASE_URL")
    )
    """Address of the Bot API up to where the token follows (`http://127.0.0.1:8081/bot`); none:
    Telegram's own."""
    base_file_url: str | None = field(
        default=None, metadata=key("base_file_url", env="GALAXY_TELEGRAM_BASE_FILE_URL")
    )
    """The same for files (`http://127.0.0.1:8081/file/bot`); none: it follows from `base_url`."""
    is_local: bool = field(default=False, metadata=key("is_local"))
    """Whether the server at `base_url` runs with `--local`, on a disk that can be read from here:
    then it hands out files of any size."""
    webhook: WebhookSettings | None = field(default=None, metadata=key("webhook"))
    """None: Telegram is asked, which needs no open port."""
    rates: RateSettings = field(factory=RateSettings, metadata=key("rates"))
    stale_policy: StalePolicy = field(default=StalePolicy.ASK, metadata=key("stale_policy"))
    """What becomes of a message that is older than `stale_after` when it is read, since everything
    was down: `run` it, `ask` first, `drop` it."""
    stale_after: timedelta = field(
        default=timedelta(minutes=15), metadata=key("stale_after", minimum=0)
    )
    """Up to this age a message simply runs: a restart or a short outage goes unnoticed."""
    allowed_groups: tuple[int, ...] = field(default=(), metadata=key("allowed_groups"))
    """Ids of the groups in which the bot listens; they are negative.  Empty: none."""
    max_file_megabytes: int = field(
        default=20, metadata=key("max_file_megabytes", minimum=1, maximum=2000)
    )
    """Largest file that is taken from people.  More than 20 MB is handed out only with
    `is_local`."""
    order_rate: int = field(default=20, metadata=key("order_rate", minimum=1, maximum=1000))
    """Orders that one person may give in a minute: more than one types, less than a runaway
    program sends."""
    queue_limit: int = field(default=50, metadata=key("queue_limit", minimum=1, maximum=10_000))
    """Orders of one person that may wait at a time."""
    drafts: bool = field(default=True, metadata=key("drafts"))
    """Whether private chats see the answer grow while it is written."""


@frozen(kw_only=True)
class TelegramSettings:
    """The bot, and who may talk to it."""

    token: Secret | None = field(
        default=None, metadata=key("telegram_token", env="GALAXY_TELEGRAM_TOKEN")
    )
    """What @BotFather gave; none: no Telegram."""
    authorized_users: tuple[int, ...] = field(default=(), metadata=key("authorized_users"))
    """Telegram user ids that are listened to.  Empty: nobody, since anyone can find a bot."""
    bot: TelegramBotSettings = field(factory=TelegramBotSettings, metadata=key("telegram"))


@frozen(kw_only=True)
class WebSettings:
    """The page, and the programs' way in."""

    enabled: bool | None = field(default=None, metadata=key("enabled"))
    """Whether people are heard on the page.  None: by `galaxy up`, which is there to be opened,
    and not by a gateway that runs alone, where an open port is a decision."""
    host: str = field(default="127.0.0.1", metadata=key("host", env="GALAXY_WEB_HOST"))
    """Where to listen.  The loopback address: any other one needs `password`."""
    port: int = field(default=8080, metadata=key("port", minimum=1, maximum=65535))
    """TCP port of a gateway that runs alone; the original's default."""
    names: tuple[str, ...] = field(default=(), metadata=key("names"))
    """Further names under which the page is called: those of a proxy that ends HTTPS before it.
    Requests for any other name are refused."""
    token: Secret | None = field(default=None, metadata=key("token", env="GALAXY_WEB_TOKEN"))
    """What programs send along.  None: one is made at the first start, in `.galaxy/web-token`."""
    password: Secret | None = field(default=None, metadata=key("password"))
    """A hash, written by `galaxy config password`; none: people come in by the printed address."""
    authorized_users: tuple[UserName, ...] = field(default=(), metadata=key("authorized_users"))
    """User names that may log in with the password; empty: `owner`."""
    secure_cookies: bool | None = field(default=None, metadata=key("secure_cookies"))
    """Whether people come by HTTPS, so that cookies go no other way.  None: where `names` are set,
    since those are a proxy's."""
    session_days: int = field(default=30, metadata=key("session_days", minimum=1, maximum=366))
    """How long a browser that is not used stays known."""


@frozen(kw_only=True)
class PairingSettings:
    """How strangers become known."""

    minutes: int = field(default=10, metadata=key("minutes", minimum=1, maximum=1440))
    """How long the code that a stranger was shown can be confirmed: long enough to walk to the
    terminal, too short to guess."""


@frozen(kw_only=True)
class TranscriptionSettings:
    """Who turns voice messages into text: any service with OpenAI's endpoint."""

    url: str | None = field(default=None, metadata=key("url", env="GALAXY_TRANSCRIPTION_URL"))
    """Where `/audio/transcriptions` follows (`https://api.openai.com/v1`); none: voice messages
    are answered with what to set."""
    api_key: Secret | None = field(
        default=None, metadata=key("api_key", env="GALAXY_TRANSCRIPTION_API_KEY")
    )
    """None: the service asks for none, as one's own does."""
    model: str = field(default="whisper-1", metadata=key("model"))
    """The name that most services know."""
    language: str | None = field(default=None, metadata=key("language"))
    """What is spoken, as `en`; none: the service finds out."""
