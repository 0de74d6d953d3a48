"""The server itself: connections, tokens, faults, and the tests' side of it."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from galaxy_core.testing.bot_api.arguments import Arguments
from galaxy_core.testing.bot_api.chats import download
from galaxy_core.testing.bot_api.errors import ApiError, flood
from galaxy_core.testing.bot_api.faults import Fault, struck
from galaxy_core.testing.bot_api.keeping import load, save
from galaxy_core.testing.bot_api.methods import BY_NAME, METHODS, PACED
from galaxy_core.testing.bot_api.people import Group, Person
from galaxy_core.testing.bot_api.rates import FloodControl, RateLimits
from galaxy_core.testing.bot_api.receiving import Updates
from galaxy_core.testing.bot_api.seen import Seen, sent
from galaxy_core.testing.bot_api.state import Call, Chat, Json, State
from galaxy_core.testing.bot_api.webhook import Webhooks
from galaxy_core.testing.bot_api.world import World
from galaxy_core.testing.http import Request, Response, read_request

TOKEN = "7000000001:AAGalaxyTestTokenGalaxyTestTokenAbc"  # noqa: S105 - of this server alone
_PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>\r\n"
_SLOW_STEPS = 20
_RECEIVING = {"getupdates", "setwebhook", "deletewebhook", "getwebhookinfo"}


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
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._state_file = state_file
        self.state = (load(state_file) if state_file else None) or _fresh(token)
        self._monotonic = monotonic
        self._chance = random.Random(seed)  # noqa: S311 - faults, not secrets
        self.faults: list[Fault] = []
        self.flood = FloodControl(limits) if limits else None
        self.updates = Updates(self.state, self._changed)
        self._world = World(self.state, now, self._push)
        self._news = asyncio.Event()
        self._posting = asyncio.Event()
        self._webhooks = Webhooks(self.state, self.updates, self._posting)
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
        self.faults.append(fault)

    def limit(self, limits: RateLimits | None) -> None:
        """Switch flood control on, or off."""
        self.flood = FloodControl(limits) if limits else None

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
                    if not await self._served(request, reader, writer):
                        break
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._connections.discard(task) if task is not None else None
            writer.close()

    async def _served(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; False if the connection is over."""
        if request.path.startswith("/control/") and self.control is not None:
            await _send(writer, self.control(request))
            return True
        matched = re.fullmatch(r"/(file/)?bot([^/]*)/(.*)", "/" + "/".join(request.parts))
        if matched is None:
            await _send(writer, _refused(ApiError(404, "Not Found")))
            return True
        is_file, token, rest = matched.groups()
        if token != self.state.token:
            error = ApiError(401, "Unauthorized") if ":" in token else ApiError(404, "Not Found")
            await _send(writer, _refused(error))
            return True
        call = Call("file" if is_file else rest, {}, self._world.now())
        self.state.calls.append(call)
        fault, response = None, None
        try:
            arguments = Arguments.of(request)
            call.arguments = {"path": rest} if is_file else arguments.logged()
            chat_id = arguments.text("chat_id")
            fault = struck(self.faults, call.method.lower(), chat_id, self._chance)
            call.fault = fault.kind if fault else ""
            response = self._before(fault) if fault else None
            if response is None:
                if is_file:
                    response = Response(
                        200, download(self._world, rest), "application/octet-stream"
                    )
                else:
                    response = await self._answer(call, arguments, fault)
                call.took_effect = True
        except ApiError as error:
            response = _refused(error)
        except _Silence as silence:
            self._changed()
            if silence.is_cut:
                writer.transport.abort()
                return False
            await asyncio.Event().wait()
        self._changed()
        return await self._deliver(call, fault, response or _refused(flood(1)), reader, writer)

    def _before(self, fault: Fault) -> Response | None:
        """What strikes before anything happened."""
        match fault.kind:
            case "flood":
                raise flood(fault.retry_after)
            case "error":
                raise ApiError(fault.status, "Internal Server Error")
            case "html":
                return Response(fault.status, _PAGE, "text/html")
            case "cut_before":
                raise _Silence(is_cut=True)
            case "hang":
                raise _Silence(is_cut=False)
            case "conflict":
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one"
                    " bot instance is running",
                )
            case "unauthorized":
                raise ApiError(401, "Unauthorized")
            case "not_found":
                raise ApiError(404, "Not Found")
            case "redeliver":
                self.updates.redeliver(fault.count)
            case _:
                pass
        return None

    async def _answer(self, call: Call, arguments: Arguments, fault: Fault | None) -> Response:
        name = call.method.lower()
        body: Json = {"ok": True}
        if self.state.is_logged_out:
            raise ApiError(400, "Logged out")
        if name in _RECEIVING:
            result, description = await self._receive(name, arguments, fault)
            body["result"] = result
            if description:
                body["description"] = description
        else:
            method = BY_NAME.get(name)
            if method is None:
                raise ApiError(404, "Not Found: method not found")
            call.method = next(known for known in METHODS if known.lower() == name)
            self._admit(name, arguments)
            body["result"] = method(self._world, arguments)
        call.answer = json.loads(json.dumps(body))
        return Response.of(body)

    async def _receive(
        self, name: str, arguments: Arguments, fault: Fault | None
    ) -> tuple[object, str]:
        match name:
            case "getupdates":
                forgets = fault is None or fault.kind != "redeliver"
                return await self.updates.get(arguments, forgets=forgets), ""
            case "setwebhook":
                return self._webhooks.set(arguments)
            case "deletewebhook":
                return self._webhooks.delete(arguments)
            case _:
                return self._webhooks.info(), ""

    def _admit(self, name: str, arguments: Arguments) -> None:
        if self.flood is None or name not in PACED:
            return
        count = len(arguments.objects("media", "media")) or 1
        chat_id = self._world.chat(arguments.text("chat_id")).id
        self.flood.admit(chat_id, self._monotonic(), count=count)

    async def _deliver(
        self,
        call: Call,
        fault: Fault | None,
        response: Response,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        match fault.kind if fault else "":
            case "cut_after":
                writer.transport.abort()
                return False
            case "hang_after":
                await asyncio.Event().wait()
            case "html_after" if fault:
                response = Response(fault.status, _PAGE, "text/html")
            case "late" if fault:
                await asyncio.sleep(fault.seconds)
            case "cut_body":
                encoded = response.encoded()
                writer.write(encoded[: len(encoded) - max(1, len(response.body) // 2)])
                await writer.drain()
                writer.close()
                return False
            case "slow" if fault:
                await _trickle(writer, response, fault.seconds)
                call.status = response.status
                return True
            case _:
                pass
        if reader.at_eof() or reader.exception() is not None:
            return False  # nobody is there to read it: not counted as answered
        call.status = response.status
        if not call.answer and response.kind == "application/json" and response.status != 200:
            call.answer = json.loads(response.body)
        await _send(writer, response)
        return True


class _Silence(Exception):
    """No answer at all."""

    def __init__(self, *, is_cut: bool) -> None:
        super().__init__()
        self.is_cut = is_cut


async def _send(writer: asyncio.StreamWriter, response: Response) -> None:
    writer.write(response.encoded())
    await writer.drain()


async def _trickle(writer: asyncio.StreamWriter, response: Response, seconds: float) -> None:
    encoded = response.encoded()
    step = max(1, len(encoded) // _SLOW_STEPS)
    for at in range(0, len(encoded), step):
        writer.write(encoded[at : at + step])
        await writer.drain()
        await asyncio.sleep(seconds / _SLOW_STEPS)


def _refused(error: ApiError) -> Response:
    return Response.of(error.answer(), error.code)


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
