"""What happens to a request: token, faults, flood control, method, answer."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable
from http import HTTPStatus

from galaxy_core.testing.bot_api.arguments import Arguments
from galaxy_core.testing.bot_api.chats import download
from galaxy_core.testing.bot_api.errors import ApiError, flood
from galaxy_core.testing.bot_api.faults import Fault, struck
from galaxy_core.testing.bot_api.methods import BY_NAME, METHODS, PACED
from galaxy_core.testing.bot_api.rates import FloodControl
from galaxy_core.testing.bot_api.receiving import Updates
from galaxy_core.testing.bot_api.state import Call, Json, State
from galaxy_core.testing.bot_api.webhook import Webhooks
from galaxy_core.testing.bot_api.world import World
from galaxy_core.testing.http import Request, Response

_PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>\r\n"
_SLOW_STEPS = 20
_RECEIVING = {
    name.lower(): name for name in ("getUpdates", "setWebhook", "deleteWebhook", "getWebhookInfo")
}
_NAMES = {name.lower(): name for name in METHODS} | _RECEIVING


class Desk:
    """Answers the requests of one server."""

    def __init__(
        self,
        world: World,
        updates: Updates,
        webhooks: Webhooks,
        changed: Callable[[], None],
        monotonic: Callable[[], float],
        seed: int,
    ) -> None:
        self._world = world
        self._updates = updates
        self._webhooks = webhooks
        self._changed = changed
        self._monotonic = monotonic
        self._chance = random.Random(seed)  # noqa: S311 - faults, not secrets
        self.faults: list[Fault] = []
        self.flood: FloodControl | None = None

    @property
    def _state(self) -> State:
        return self._world.state

    async def serve(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; False if the connection is over."""
        matched = re.fullmatch(r"/(file/)?bot([^/]*)/(.*)", "/" + "/".join(request.parts))
        if matched is None:
            await _send(writer, _refused(ApiError(404, "Not Found")))
            return True
        is_file, token, rest = matched.groups()
        if token != self._state.token:
            error = ApiError(401, "Unauthorized") if ":" in token else ApiError(404, "Not Found")
            await _send(writer, _refused(error))
            return True
        name = "file" if is_file else _NAMES.get(rest.lower(), rest)
        call = Call(name, {}, self._world.now())
        self._state.calls.append(call)
        fault: Fault | None = None
        try:
            arguments = Arguments.of(request)
            call.arguments = {"path": rest} if is_file else arguments.logged()
            fault = struck(self.faults, name.lower(), arguments.text("chat_id"), self._chance)
            call.fault = fault.kind if fault else ""
            response = await self._outcome(call, arguments, fault)
        except ApiError as error:
            response = _refused(error)
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            # Arguments of a form that nothing here expects: said, so that a test shows it.
            reason = f"{type(error).__name__}: {error}"
            response = _refused(ApiError(500, f"Internal Server Error: {reason}"))
        except _Silence as silence:
            self._changed()
            if silence.is_cut:
                writer.transport.abort()
                return False
            await asyncio.Event().wait()
        self._changed()
        return await self._deliver(call, fault, response, reader, writer)

    async def _outcome(self, call: Call, arguments: Arguments, fault: Fault | None) -> Response:
        if fault and (struck_dead := self._before(fault)) is not None:
            return struck_dead
        if call.method == "file":
            content = download(self._world, call.arguments["path"])
            response = Response(200, content, "application/octet-stream")
        else:
            response = await self._answer(call, arguments, fault)
        call.took_effect = True
        return response

    def _before(self, fault: Fault) -> Response | None:
        """What strikes before anything happened."""
        match fault.kind:
            case "flood":
                raise flood(fault.retry_after)
            case "error":
                raise ApiError(fault.status, HTTPStatus(fault.status).phrase)
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
                self._updates.redeliver(fault.count)
            case _:
                pass
        return None

    async def _answer(self, call: Call, arguments: Arguments, fault: Fault | None) -> Response:
        name = call.method.lower()
        body: Json = {"ok": True}
        if self._state.is_logged_out:
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
                updates = await self._updates.get(arguments, forgets=forgets)
                if fault is not None and fault.kind == "reorder":
                    self._chance.shuffle(updates)
                return updates, ""
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
