"""Gateways that die with SIGKILL where they are told to, one life after another.

    python mortal_gateway.py CONFIG TRACE LOG

Reads a line of JSON for each life, `{"place": "outbox.record:after", "count": 2}` (no place: it
waits to be killed from outside; `patience`: seconds before a letter's last try), forks a gateway
and says its number; says so again when it is dead.  Everything is imported once, here, so a life
begins within some hundredths of a second.

Beside that it keeps a trace of what the lives did with letters, line by line, for the bookkeeping
of the test.  Its lines are not synced: a killed process loses none.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx

from galaxy_adapters.audit_jsonl.sink import JsonlAuditSink
from galaxy_adapters.channel_telegram import TelegramChannel
from galaxy_adapters.notes_sqlite import SqliteNoteStore
from galaxy_adapters.outbox_filesystem import FilesystemOutbox
from galaxy_apps import gateway
from galaxy_apps.home import Home
from galaxy_apps.settings import load
from galaxy_apps.wiring_gateway import GatewayPlan, build_gateway
from galaxy_core.domain.errors import DeliveryUnknown, GalaxyError
from galaxy_core.services.courier import CourierConfig
from galaxy_core.services.desk import OrderDesk
from galaxy_core.services.gateway import caduceus

Step = Callable[..., Awaitable[Any]]


class Death:
    """Where this life ends, and what it leaves on the trace."""

    def __init__(self, trace: int, place: str | None, count: int) -> None:
        self._trace, self._place, self._count = trace, place, count

    def tell(self, what: str, **facts: object) -> None:
        """Write a line of the trace, in one call."""
        line = {"what": what, "at": time.time(), "pid": os.getpid(), **facts}
        os.write(self._trace, json.dumps(line).encode() + b"\n")

    def passes(self, place: str) -> None:
        """Perhaps the last thing this process does."""
        if place != self._place:
            return
        self._count -= 1
        if self._count == 0:
            self.tell("died", place=place)
            os.kill(os.getpid(), signal.SIGKILL)


def make_mortal(owner: type, method: str, name: Callable[..., str], death: Death) -> None:
    """Let every call of the method be a place, before and after."""
    found: Step = getattr(owner, method)

    async def call(self: object, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any method
        place = name(*args, **kwargs)
        death.passes(f"{place}:before")
        result = await found(self, *args, **kwargs)
        death.passes(f"{place}:after")
        return result

    setattr(owner, method, call)


def keep_books(death: Death) -> None:
    """Put what is sent, known and waited for on the trace."""
    send, record, put = TelegramChannel.send, FilesystemOutbox.record, SqliteNoteStore.put

    async def sending(self: Any, letter: Any, address: Any, **how: Any) -> Any:  # noqa: ANN401
        facts = {"letter": letter.name, "chat": address.chat_id, "part": how.get("part", 1)}
        death.tell("sending", **facts, is_repeat=how.get("is_repeat", False))
        try:
            receipt = await send(self, letter, address, **how)
        except DeliveryUnknown:
            death.tell("unknown", **facts)
            raise
        except GalaxyError as error:
            death.tell("failed", **facts, error=str(error))
            raise
        death.tell("sent", **facts)
        return receipt

    async def recording(self: Any, letter: Any, receipt: Any) -> Any:  # noqa: ANN401
        written = await record(self, letter, receipt)
        facts = {"letter": letter.name, "chat": receipt.chat_id, "part": receipt.part}
        death.tell("recorded", **facts)
        return written

    async def putting(self: Any, notes: Any) -> None:  # noqa: ANN401
        await put(self, notes)
        for note in notes:
            if note.kind == "hold":
                death.tell("held", chat=note.key.partition(":")[2], until=note.value["until"])

    TelegramChannel.send = sending  # type: ignore[method-assign]
    FilesystemOutbox.record = recording  # type: ignore[method-assign]
    SqliteNoteStore.put = putting  # type: ignore[method-assign]


def live(config: str, log: str, death: Death, last_try: timedelta) -> None:
    """One life."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    keep_books(death)
    for method in ("add", "put"):
        make_mortal(
            SqliteNoteStore,
            method,
            lambda notes, m=method: f"notes.{m}.{notes[0].kind.rpartition(':')[2]}",
            death,
        )
    make_mortal(
        SqliteNoteStore,
        "close",
        lambda kind, keys: f"notes.close.{kind.rpartition(':')[2]}",
        death,
    )
    plain: list[tuple[type, str, str]] = [
        *((FilesystemOutbox, name, f"outbox.{name}") for name in ("post", "record", "mark_sent")),
        *((TelegramChannel, name, f"channel.{name}") for name in ("send", "show", "confirm")),
        (OrderDesk, "submit", "desk.submit"),
        (JsonlAuditSink, "record", "trail.record"),
    ]
    for owner, method, name in plain:
        make_mortal(owner, method, lambda *_, n=name, **__: n, death)
    caduceus.CourierConfig = partial(CourierConfig, last_try_after=last_try)  # type: ignore[assignment,attr-defined]
    os._exit(gateway.main(["--config", config]))


def rehearse(config: str) -> None:
    """Import here what a gateway imports while it is built: a life does it once and tells."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        plan = GatewayPlan(Home(load(Path(config))))

        async def build() -> None:
            async with build_gateway(plan):
                os.write(writing, "\n".join(sys.modules).encode())

        try:
            anyio.run(build)
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        names = told.read().split("\n")
    os.wait()
    for name in names:
        if name != "__main__":
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    # Nothing here is secured by TLS, and its authorities take a tenth of a second to read.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    httpx.create_ssl_context = lambda *_args, **_more: context


def main() -> None:
    """Fork until nobody asks for more."""
    config, trace, log = sys.argv[1:]
    rehearse(config)
    book = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    Path(log).touch()
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        wish = json.loads(line)
        pid = os.fork()
        if pid == 0:
            try:
                death = Death(book, wish.get("place"), wish.get("count", 1))
                live(config, log, death, timedelta(seconds=wish.get("patience", 600)))
            finally:
                os._exit(70)  # never back into the loop of the parent
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
