"""The server itself: connections, tokens, faults, and the tests' side of it."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from galaxy_core.testing.bot_api.desk import Desk
from galaxy_core.testing.bot_api.faults import Fault
from galaxy_core.testing.bot_api.keeping import load, save
from galaxy_core.testing.bot_api.people import Group, Person
from galaxy_core.testing.bot_api.rates import FloodControl, RateLimits
from galaxy_core.testing.bot_api.receiving import LONGEST_POLL, Updates
from galaxy_core.testing.bot_api.seen import Seen, sent
from galaxy_core.testing.bot_api.state import Call, Chat, Json, State
from galaxy_core.testing.bot_api.webhook import Webhooks
from galaxy_core.testing.bot_api.world import World
from galaxy_core.testing.http import Request, Response, read_request

TOKEN = "7000000001:AAGalaxyTestTokenGalaxyTestTokenAbc"  # noqa: S105 - of this server alone


class BotApiServer:
    """A Bot API server with one bot; an async context manager, or `start` and `stop`."""

    def __init__(  # noqa: PLR0913 - each has a default
        self,
        *,
        token: str = TOKEN,
        port: int = 0,
        state_file: Path | None = None,
        limits: RateLimits | None = None,
        seed: int = 0,
        longest_poll: timedelta = LONGEST_POLL,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._state_file = state_file
        self.state = (load(state_file) if state_file else None) or _fresh(token)
        self.updates = Updates(self.state, self._changed, longest_poll)
        self._world = World(self.state, now, self._push)
        self._news = asyncio.Event()
        self._posting = asyncio.Event()
        self._webhooks = Webhooks(self.state, self.updates, self._posting, self._changed)
        self._desk = Desk(self._world, self.updates, self._webhooks, self._changed, monotonic, seed)
        self.limit(limits)
        self._connections: set[asyncio.Task[object]] = set()
        self._tasks = asyncio.TaskGroup()
        self._listening: asyncio.Server | None = None
        self._poster: asyncio.Task[None] | None = None
        self.control: Callable[[Request], Response] | None = None
        """Answers to `/control/...`, where the server is a process of its own."""

    # ---- life

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen on the loopback."""
        await self._tasks.__aenter__()
        self._listening = await asyncio.start_server(
            self._connected, "127.0.0.1", self._port, limit=2**26
        )
        self._port = int(self._listening.sockets[0].getsockname()[1])
        self._poster = self._tasks.create_task(
            self._webhooks.run(self._world.seconds), name="bot_api.webhook"
        )

    async def stop(self) -> None:
        """Break every connection and go."""
        if self._listening is None or self._poster is None:
            return
        self._listening.close()
        self._poster.cancel()
        for connection in self._connections:
            connection.cancel()
        if self._connections:
            await asyncio.wait(self._connections)
        await self._listening.wait_closed()
        await self._tasks.__aexit__(None, None, None)
        self._listening = None

    # ---- addresses

    @property
    def token(self) -> str:
        """The bot's token."""
        return self.state.token

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """In python-telegram-bot's form: the token is appended."""
        return f"{self.address}/bot"

    @property
    def base_file_url(self) -> str:
        """The same for downloads."""
        return f"{self.address}/file/bot"

    @property
    def bot(self) -> Json:
        """The bot as getMe gives it; may be changed."""
        return self.state.bot

    # ---- people and chats

    def person(
        self,
        name: str = "Ann",
        *,
        user_id: int | None = None,
        username: str | None = None,
        is_bot: bool = False,
        has_started: bool = True,
    ) -> Person:
        """Somebody; without `has_started` the bot may not write to them before they do."""
        user_id = user_id or 100_000 + self.state.number()
        user: Json = {"id": user_id, "is_bot": is_bot, "first_name": name}
        if username or not is_bot:
            user["username"] = username or f"{re.sub(r'[^a-z0-9]', '', name.lower())}_{user_id}"
        if not is_bot:
            user["language_code"] = "en"
        self.state.users[user_id] = user
        if has_started:
            self.state.chats.setdefault(user_id, Chat(user_id, "private"))
        self._changed()
        return Person(self._world, user_id)

    def group(
        self,
        title: str = "Team",
        *members: Person,
        kind: str = "supergroup",
        is_forum: bool = False,
        bot_status: str = "member",
    ) -> Group:
        """A group (`group`, `supergroup`) or `channel`; the first member created it."""
        number = self.state.number()
        chat = Chat(
            id=-number if kind == "group" else -(1_000_000_000_000 + number),
            kind=kind,
            title=title,
            is_forum=is_forum,
            last_message_id=0 if kind == "group" else 1,  # number 1 says that it was made
            members={self._world.bot_id: bot_status},
        )
        for place, person in enumerate(members):
            chat.members[person.id] = "member" if place else "creator"
        if bot_status == "left":
            chat.refusal = f"left_{kind}"
        self.state.chats[chat.id] = chat
        self._changed()
        return Group(self._world, chat.id)

    def channel(self, title: str = "News", *, bot_status: str = "administrator") -> Group:
        """A channel."""
        return self.group(title, kind="channel", bot_status=bot_status)

    def known_person(self, user_id: int) -> Person:
        """Somebody who was made before, also by the process before this one."""
        return Person(self._world, self.state.users[user_id]["id"])

    def known_group(self, chat_id: int) -> Group:
        """A group that was made before."""
        return Group(self._world, self.state.chats[chat_id].id)

    def redeliver(self, count: int) -> None:
        """Let the last confirmed updates come again."""
        self.updates.redeliver(count)

    def push_update(self, kind: str, content: Json) -> Json | None:
        """Send the bot any update; None if it does not want that kind."""
        return self._push(kind, content)

    # ---- what happened

    def sent(self, chat: int | Person | Group | None = None) -> tuple[Seen, ...]:
        """What the bot wrote, as it is read now."""
        chat_id = chat.id if isinstance(chat, Person | Group) else chat
        return sent(self.state, chat_id)

    def texts(self, chat: int | Person | Group | None = None) -> list[str]:
        """The texts and captions of `sent`."""
        return [message.text for message in self.sent(chat)]

    def copies(self, chat: int | Person | Group | None = None) -> Counter[str]:
        """How often each text stands there."""
        return Counter(self.texts(chat))

    def calls(self, method: str | None = None) -> list[Call]:
        """The bot's calls in the order they came, also those that were refused."""
        wanted = method and method.lower()
        return [one for one in self.state.calls if wanted in (None, one.method.lower())]

    def pending(self) -> list[Json]:
        """Updates that the bot did not confirm."""
        return list(self.state.updates)

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Wait until something is so; looks after every call."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._news.clear()
                await self._news.wait()

    # ---- trouble

    def plan(self, fault: Fault) -> None:
        """Let something go wrong."""
        self._desk.faults.append(fault)

    def heal(self) -> None:
        """Forget every planned fault."""
        self._desk.faults.clear()

    def limit(self, limits: RateLimits | None) -> None:
        """Switch flood control on, or off."""
        self._desk.flood = FloodControl(limits) if limits else None

    @property
    def refused(self) -> int:
        """How many calls flood control refused."""
        return self._desk.flood.refused if self._desk.flood else 0

    # ---- connections

    def _changed(self) -> None:
        self._news.set()
        self._posting.set()
        if self._state_file is not None:
            save(self.state, self._state_file)

    def _push(self, kind: str, content: Json) -> Json | None:
        return self.updates.push(kind, json.loads(json.dumps(content)))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
        try:
            with suppress(ConnectionError):
                while (request := await read_request(reader)) is not None:
                    if not await self._serve(request, reader, writer):
                        break
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(task) if task is not None else None
            writer.close()

    async def _serve(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        if request.parts[:1] == ("control",) and self.control is not None:
            writer.write(self.control(request).encoded())
            await writer.drain()
            return True
        return await self._desk.serve(request, reader, writer)


def _fresh(token: str) -> State:
    bot = {
        "id": int(token.partition(":")[0]),
        "is_bot": True,
        "first_name": "Galaxy",
        "username": "galaxy_test_bot",
        "can_join_groups": True,
        "can_read_all_group_messages": False,
        "supports_inline_queries": False,
        "can_connect_to_business": False,
        "has_main_web_app": False,
        "has_topics_enabled": False,
        "allows_users_to_create_topics": False,
    }
    return State(token, bot)
