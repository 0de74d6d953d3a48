"""Sentences about each part: what was seen in, a `Check` out.  Nothing here looks at anything.

Used by `galaxy health`, which looks once, and by the watchers, which look all the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from galaxy_core.domain.health import Check
from galaxy_core.domain.insight import Level
from galaxy_core.domain.operations import ChannelSign, Heartbeat
from galaxy_core.domain.run import DispatcherHealth
from galaxy_core.ports.machine_folder import DiskSpace
from galaxy_core.ports.outbox import LetterCount
from galaxy_core.services.health.alerts import span

STOPPED = "stopped"
HARDLY_SPACE = 100_000_000
"""Bytes; below it orders are refused any moment."""
LITTLE_SPACE = 1_000_000_000
FEW_FILES = 0.02
"""Share of inodes left below which somebody should look; a tenth of it is as good as none."""
CLOCK_TOLERANCE = timedelta(seconds=5)
_NO_FILES = FEW_FILES / 10
_START_HERMES = "Start it with `galaxy-hermes` (or `galaxy up`, `galaxy services install`)."
_START_GATEWAY = "Start it with `galaxy-gateway` (or `galaxy up`, `galaxy services install`)."
_SEE_LOG = "If it is not back in a minute, see `galaxy services logs`, or start it again."


def hermes(
    name: str, heartbeat: Heartbeat | None, silence: timedelta | None, *, waiting: int
) -> Check:
    """Hermes of one machine; `silence` is None while it beats, `waiting` counts live orders."""
    key = f"hermes:{name}"
    also = f", and {_many(waiting, 'order')} {'waits' if waiting == 1 else 'wait'}"
    level, remedy = Level.UNWELL, _START_HERMES
    if heartbeat is None:
        text = f"Hermes on {name} has never run{also * bool(waiting)}"
    elif heartbeat.status == STOPPED:
        text = f"Hermes on {name} was stopped{also * bool(waiting)}"
    elif silence is not None:
        held = len(heartbeat.running)
        running = f" while {_many(held, 'order')} ran" if held else ""
        text = f"Hermes on {name} gives no sign of life{running}"
        remedy = _SEE_LOG
    else:
        text = f"Hermes on {name} is alive ({len(heartbeat.running)} at work)"
        level, remedy = Level.WELL, ""
    return Check(key=key, level=level, text=text, remedy=remedy, machine=name)


def gateway(
    heartbeat: Heartbeat | None, silence: timedelta | None, *, is_wanted: bool = True
) -> Check:
    """The gateway; `is_wanted` says that the settings have use for one."""
    level, remedy = Level.UNWELL if is_wanted else Level.WELL, _START_GATEWAY
    if heartbeat is None and not is_wanted:
        text = "No gateway is set up"
    elif heartbeat is None:
        text = "The gateway has never run"
    elif heartbeat.status == STOPPED:
        text = "The gateway was stopped"
    elif silence is not None:
        text, remedy = "The gateway gives no sign of life", _SEE_LOG
    elif heartbeat.trouble is not None:
        text = f"The gateway cannot store what it has to ({heartbeat.trouble.rstrip('.')})"
        remedy = "Free space on the disk, or see what is wrong with it; what people write waits."
    else:
        text, level = "The gateway is alive", Level.WELL
    return Check(key="gateway", level=level, text=text, remedy=remedy * (level is not Level.WELL))


_TROUBLES = {
    "network": "Check this machine's network and proxy, and `telegram.base_url` if it is set.",
    "token": "Put the token that @BotFather shows into the settings, and restart the gateway.",
    "conflict": "Another program uses the bot's token: stop it, or /revoke it at @BotFather.",
    "storage": "Free space on the disk, or see what is wrong with it.",
}


def channel(sign: ChannelSign) -> Check:
    """One way to people, as the gateway sees it."""
    title = sign.name.capitalize()
    if sign.trouble is None:
        text = f"{title} is reachable and asked for messages"
        return Check(key=f"channel:{sign.name}", level=Level.WELL, text=text)
    return Check(
        key=f"channel:{sign.name}",
        level=Level.UNWELL,
        text=f"No messages come in from {title} ({sign.trouble})",
        remedy=_TROUBLES.get(sign.trouble, "The gateway's log says more.")
        + " Nothing is lost: Telegram keeps messages for 24 hours.",
    )


def agent(name: str, health: DispatcherHealth | None, *, is_only: bool = False) -> Check:
    """The agent's server; None: nobody has needed one so far."""
    key, where = f"agent:{name}", "" if is_only else f" on {name}"
    if health is None:
        text = f"opencode serve does not run now, and starts with the next order{where}"
        return Check(key=key, level=Level.WELL, text=text, machine=name)
    if health.is_ready:
        text = f"opencode serve is healthy{where}"
        return Check(key=key, level=Level.WELL, text=text, machine=name)
    return Check(
        key=key,
        level=Level.UNWELL,
        text=f"opencode serve does not answer{where}",
        remedy="It is replaced within a minute, and orders go on; if not, see Hermes' log. "
        + (health.problem or ""),
        machine=name,
    )


def queue(name: str, waiting: int, oldest: timedelta | None, limit: timedelta) -> Check:
    """Orders that wait and could begin."""
    key = f"queue:{name}"
    if oldest is not None and oldest >= limit:
        return Check(
            key=key,
            level=Level.DOUBTFUL,
            text=f"An order on {name} has waited for {span(limit)} or longer",
            remedy="See what runs with `galaxy order list`: it may wait for an answer "
            "(`galaxy order answer`), or hang (`galaxy order cancel`).",
            machine=name,
        )
    age = f", the oldest for {span(oldest)}" if oldest is not None else ""
    text = f"Queue OK ({waiting} on {name} wait{age})"
    return Check(key=key, level=Level.WELL, text=text, machine=name)


def dead_letters(name: str, ids: Sequence[str]) -> Check:
    """Orders that were given up, and that nobody has decided on."""
    key = f"dead:{name}"
    if not ids:
        return Check(key=key, level=Level.WELL, text=f"No dead letters on {name}", machine=name)
    return Check(
        key=key,
        level=Level.DOUBTFUL,
        text=f"{_many(len(ids), 'order')} on {name} failed at every try (dead letters)",
        remedy=f"See why with `galaxy order show {ids[0]}`, and have it done again with "
        f"`galaxy order retry {ids[0]}` or take it off this list with "
        f"`galaxy order dismiss {ids[0]}`.",
        machine=name,
    )


MANY_LETTERS = 50


def outbox(name: str, count: LetterCount) -> Check:
    """Letters that wait."""
    key, waiting = f"outbox:{name}", count.waiting
    if waiting < MANY_LETTERS:
        text = f"Outbox of {name} OK ({waiting} wait)"
        return Check(key=key, level=Level.WELL, text=text, machine=name)
    return Check(
        key=key,
        level=Level.DOUBTFUL,
        text=f"{MANY_LETTERS} or more letters of {name} wait to be delivered",
        remedy="See the gateway's log: a channel may be down, or slow us down.",
        machine=name,
    )


def undeliverable(name: str, count: LetterCount) -> Check:
    """Letters that nobody got."""
    key, lost = f"letters:{name}", count.undeliverable
    if not lost:
        text = f"No undeliverable letters of {name}"
        return Check(key=key, level=Level.WELL, text=text, machine=name)
    return Check(
        key=key,
        level=Level.DOUBTFUL,
        text=f"{_many(lost, 'letter')} of {name} reached nobody",
        remedy="`cat .sisyphus/notepads/galaxy-outbox-undeliverable/*.reason` says why; move "
        "back into `galaxy-outbox` what is to be tried again, and away what is not.",
        machine=name,
    )


def disk(name: str, space: DiskSpace | None, little: int = LITTLE_SPACE) -> Check:
    """Room, and names for files; `little` is in bytes."""
    key = f"disk:{name}"
    if space is None:
        return Check(
            key=key,
            level=Level.UNWELL,
            text=f"The folder of {name} cannot be looked at",
            remedy="Is its disk mounted, and readable for this user?",
            machine=name,
        )
    total = max(space.total_bytes, 1)
    used = round(100 * (total - space.free_bytes) / total)
    level, text = Level.WELL, f"Disk space OK ({used}% used)"
    if space.free_bytes < little:
        level = Level.UNWELL if space.free_bytes < HARDLY_SPACE else Level.DOUBTFUL
        megabytes = space.free_bytes // 1_000_000
        text = f"The disk of {name} is nearly full ({used}% used, {megabytes:,} MB left)"
    elif space.total_files and (space.free_files or 0) < FEW_FILES * space.total_files:
        free = space.free_files or 0
        level = Level.UNWELL if free < _NO_FILES * space.total_files else Level.DOUBTFUL
        text = f"The disk of {name} has room for only {free:,} more files (inodes)"
    remedy = "Free some (`galaxy cleanup` shows what Galaxy could do without): without room orders"
    remedy += " are neither taken nor answered."
    return Check(
        key=key, level=level, text=text, remedy=remedy * (level is not Level.WELL), machine=name
    )


def clock(heartbeats: Sequence[Heartbeat], now: datetime) -> Check:
    """This host's clock, against those that wrote signs of life."""
    ahead = max((h.last_heartbeat_at - now for h in heartbeats), default=timedelta(0))
    if ahead <= CLOCK_TOLERANCE:
        return Check(key="clock", level=Level.WELL, text="Clock OK")
    return Check(
        key="clock",
        level=Level.DOUBTFUL,
        text=f"A sign of life comes from the future ({span(ahead)})",
        remedy="The clock was set back, or is wrong: see `timedatectl`, and have it kept by NTP.",
    )


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
