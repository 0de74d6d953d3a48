"""Fetches files that people sent.

The content goes to a hidden file beside its place, is synced, and then gets its name: who dies in
the middle leaves the hidden file, which the next try overwrites.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol
from weakref import WeakValueDictionary

import anyio
from anyio import to_thread
from attrs import define, field

from galaxy_adapters._files import (
    make_durable_folder,
    storage_errors,
    sync_directory,
    sync_file,
)
from galaxy_adapters.channel_telegram._errors import CallRefused
from galaxy_adapters.channel_telegram._json import an_object, text
from galaxy_adapters.channel_telegram._poller import Call
from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.domain.message import RemoteFile

CLOUD_LIMIT = 20 << 20
"""Bytes that Telegram's own Bot API gives out (tdlib/telegram-bot-api, Client.h)."""
_MEGABYTE = 1 << 20


class Connection(Protocol):
    """What is needed of `BotApi`."""

    @property
    def call(self) -> Call:
        """Call a method."""

    def download(self, path: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The content of a file."""


@define(eq=False)
class Fetcher:
    """Files of one bot."""

    _api: Connection
    _is_local: bool
    _limit: int = CLOUD_LIMIT
    """Bytes of the largest file that is taken."""
    _busy: WeakValueDictionary[Path, anyio.Lock] = field(factory=WeakValueDictionary, init=False)

    async def fetch(self, file: RemoteFile, target: Path) -> None:
        """Do as `Channel.fetch` says."""
        lock = self._busy.setdefault(target, anyio.Lock())
        async with lock:
            if await to_thread.run_sync(target.exists):
                return
            if file.size is not None and file.size > self._limit:
                raise self._too_large(file)
            path = await self._locate(file)
            scratch = target.with_name(_scratch_name(target.name))
            await to_thread.run_sync(make_durable_folder, target.parent)
            try:
                if path.startswith("/"):
                    await self._copy(file, path, scratch)
                else:
                    await self._download(file, path, scratch)
            except PermanentError:  # nobody tries again
                await to_thread.run_sync(partial(scratch.unlink, missing_ok=True))
                raise
            await to_thread.run_sync(_publish, scratch, target)

    async def _locate(self, file: RemoteFile) -> str:
        try:
            answer = await self._api.call("getFile", {"file_id": file.id})
        except CallRefused as error:
            words = error.description.lower()
            if "too big" in words:
                raise self._too_large(file) from None
            if "temporarily" in words:
                raise TransientError(
                    "Telegram cannot give the file now", retry_after=timedelta(seconds=10)
                ) from None
            raise PermanentError(
                f"Telegram does not have {_called(file)} any more: send it again."
            ) from None
        path = text(an_object(answer).get("file_path"))
        if not path:
            raise TransientError("Telegram did not say where the file is")
        return path

    async def _copy(self, file: RemoteFile, source: str, scratch: Path) -> None:
        """Take the file from the disk of a Bot API server of one's own."""
        if not self._is_local:
            raise PermanentError(
                "The Bot API server gave a path on its own disk: set `telegram.is_local` if that"
                " disk can be read from here."
            )
        try:
            size = (await anyio.Path(source).stat()).st_size
            if size > self._limit:  # it was not told before
                raise self._too_large(file)
            await to_thread.run_sync(_copy_file, source, scratch)
        except (FileNotFoundError, PermissionError):
            raise PermanentError(
                "The file lies where the Bot API server can read it, and the gateway cannot: let"
                " both see the same folder under the same path."
            ) from None

    async def _download(self, file: RemoteFile, path: str, scratch: Path) -> None:
        async with self._api.download(path) as pieces:
            with storage_errors("write", scratch):
                sink = await to_thread.run_sync(_open, scratch)
                try:
                    size = 0
                    async for piece in pieces:
                        size += len(piece)
                        if size > self._limit:  # it was not told before, or wrongly
                            raise self._too_large(file)
                        await to_thread.run_sync(sink.write, piece)
                    await to_thread.run_sync(_flush, sink)
                finally:
                    sink.close()

    def _too_large(self, file: RemoteFile) -> PermanentError:
        size = "" if file.size is None else f" ({file.size / _MEGABYTE:.0f} MB)"
        limit = min(self._limit, CLOUD_LIMIT) if not self._is_local else self._limit
        return PermanentError(
            f"{_called(file)[0].upper()}{_called(file)[1:]}{size} is too large: files of up to"
            f" {limit // _MEGABYTE} MB can be taken. Send a smaller one, or a link to it."
        )


def _scratch_name(name: str) -> str:
    # A digest: the name may fill what a file system allows.
    digest = sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f".tmp-fetch-{digest[:24]}"


def _open(path: Path) -> BinaryIO:
    return path.open("wb")


def _flush(sink: BinaryIO) -> None:
    sink.flush()
    sync_file(sink.fileno())


def _copy_file(source: str, scratch: Path) -> None:
    with (
        Path(source).open("rb") as original,
        storage_errors("write", scratch),
        scratch.open("wb") as sink,
    ):
        shutil.copyfileobj(original, sink, 1 << 20)
        _flush(sink)


def _publish(scratch: Path, target: Path) -> None:
    with storage_errors("write", target):
        os.replace(scratch, target)  # noqa: PTH105 - one system call, as beside
    sync_directory(target.parent)


def _called(file: RemoteFile) -> str:
    return f"“{file.name}”" if file.name else f"the {file.kind}"
