"""Forms, and files in them: streamed to disk piece by piece, within limits.

A file lies in a hidden name until its form was read whole; who gives up in the middle leaves
nothing, who is killed leaves a hidden file that `sweep` of its folder removes.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qsl

from anyio import to_thread
from attrs import define, field, frozen
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from galaxy_adapters._files import make_durable_folder, storage_errors, sync_file
from galaxy_adapters._web.bodies import allow_body
from galaxy_adapters._web.problems import Problem

__all__ = ["Form", "FormLimits", "Upload", "read_form"]

UPLOAD_PREFIX = ".tmp-upload-"
"""How the name of a file begins whose form is not read yet."""
_MOST_FIELDS = 50
_LONGEST_HEADERS = 8 << 10


@frozen(kw_only=True)
class FormLimits:
    """How much a form may bring."""

    file_bytes: int = 0
    """Of one file."""
    files: int = 0
    field_bytes: int = 256 << 10
    """Of all fields together."""

    @property
    def total_bytes(self) -> int:
        """Of the whole body."""
        return self.file_bytes * self.files + self.field_bytes + (64 << 10)


@frozen(kw_only=True)
class Upload:
    """A file that lies on disk, synced, under a name of ours."""

    path: Path
    name: str
    """As the sender calls it: never a path."""
    mime: str
    size: int


@define
class Form:
    """A form that was read."""

    fields: dict[str, str] = field(factory=dict)
    """The last value of each."""
    files: list[Upload] = field(factory=list)

    async def discard(self) -> None:
        """Remove the files."""
        await to_thread.run_sync(_remove, [upload.path for upload in self.files])


_NO_FILES = FormLimits()


async def read_form(
    request: Request, limits: FormLimits = _NO_FILES, folder: Path | None = None
) -> Form:
    """Read a form; its files are stored in `folder`, which is made.

    Raises `Problem` as soon as a limit is passed, `StorageUnavailable`.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    allow_body(request, limits.total_bytes)
    if kind == b"application/x-www-form-urlencoded":
        allow_body(request, limits.field_bytes)
        body = (await request.body()).decode("utf-8", "replace")
        try:
            pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            raise Problem(400, "The form has too many fields.") from None
        return Form(fields=dict(pairs))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary or len(boundary) > 200:  # noqa: PLR2004 - RFC 2046 has 70
        raise Problem(415, "Send a form, as `multipart/form-data`.")
    reader = _Reader(limits, folder)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin,
                "on_header_field": reader.header_name,
                "on_header_value": reader.header_value,
                "on_header_end": reader.header_end,
                "on_headers_finished": reader.open,
                "on_part_data": reader.data,
                "on_part_end": reader.end,
            },
        )
        async for piece in request.stream():
            parser.write(piece)
            if reader.has_work:
                await to_thread.run_sync(reader.work)
        parser.finalize()
        reader.check_end()
        await to_thread.run_sync(reader.finish)
    except BaseException as error:
        reader.abandon()
        if isinstance(error, FormParserError):
            raise Problem(400, "The form cannot be read.") from None
        raise
    return reader.form


@define
class _Part:
    headers: dict[str, str] = field(factory=dict)
    name: str = ""
    file: _Sink | None = None
    text: bytearray = field(factory=bytearray)


@define
class _Sink:
    path: Path
    name: str
    mime: str
    size: int = 0
    stream: BinaryIO | None = None


@define(eq=False)
class _Reader:
    """Takes what the parser finds; what it writes, it writes in a thread."""

    limits: FormLimits
    folder: Path | None
    form: Form = field(factory=Form, init=False)
    is_whole: bool = field(default=True, init=False)
    _part: _Part = field(factory=_Part, init=False)
    _header: tuple[bytearray, bytearray] = field(init=False)
    _header_bytes: int = field(default=0, init=False)
    _fields: int = field(default=0, init=False)
    _field_bytes: int = field(default=0, init=False)
    _sinks: list[_Sink] = field(factory=list, init=False)
    _pieces: list[tuple[_Sink, bytes]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._header = bytearray(), bytearray()

    # ---- what the parser calls

    def begin(self) -> None:
        self._part = _Part()
        self._header_bytes = 0
        self.is_whole = False

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._add_header(self._header[0], data[start:end])

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._add_header(self._header[1], data[start:end])

    def _add_header(self, target: bytearray, data: bytes) -> None:
        self._header_bytes += len(data)
        if self._header_bytes > _LONGEST_HEADERS:
            raise Problem(400, "The form's headers are too long.")
        target.extend(data)

    def header_end(self) -> None:
        name, value = (bytes(each).decode("utf-8", "replace") for each in self._header)
        self._part.headers[name.strip().casefold()] = value.strip()
        self._header = bytearray(), bytearray()

    def open(self) -> None:
        disposition = self._part.headers.get("content-disposition", "").encode()
        _, options = parse_options_header(disposition)
        self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
        if b"filename" not in options:
            self._fields += 1
            if self._fields > _MOST_FIELDS:
                raise Problem(400, "The form has too many fields.")
            return
        if len(self._sinks) >= self.limits.files or self.folder is None:
            raise Problem(413, f"At most {self.limits.files} files can be taken at once.")
        name = _file_name(options[b"filename"].decode("utf-8", "replace"))
        mime = self._part.headers.get("content-type", "").partition(";")[0].strip()[:100]
        path = self.folder / f"{UPLOAD_PREFIX}{secrets.token_hex(12)}"
        self._part.file = _Sink(path, name, mime or "application/octet-stream")
        self._sinks.append(self._part.file)
        self._pieces.append((self._part.file, b""))

    def data(self, data: bytes, start: int, end: int) -> None:
        sink = self._part.file
        if sink is None:
            self._field_bytes += end - start
            if self._field_bytes > self.limits.field_bytes:
                raise Problem(413, f"A text has at most {self.limits.field_bytes >> 10} KB.")
            self._part.text.extend(data[start:end])
            return
        sink.size += end - start
        if sink.size > self.limits.file_bytes:
            megabytes = self.limits.file_bytes >> 20
            raise Problem(413, f"“{sink.name}” is too large: a file has at most {megabytes} MB.")
        self._pieces.append((sink, data[start:end]))

    def end(self) -> None:
        self.is_whole = True
        if self._part.file is None:
            self.form.fields[self._part.name] = self._part.text.decode("utf-8", "replace")

    def check_end(self) -> None:
        """Refuse a form that was cut off."""
        if not self.is_whole:
            raise Problem(400, "The form ends in the middle.")

    # ---- in a thread

    @property
    def has_work(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self._pieces)

    def work(self) -> None:
        """Write what has come."""
        pieces, self._pieces = self._pieces, []
        for sink, data in pieces:
            with storage_errors("write", sink.path.parent):
                if sink.stream is None:
                    make_durable_folder(sink.path.parent, mode=0o700)
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                    sink.stream = os.fdopen(os.open(sink.path, flags, 0o600), "wb")
                sink.stream.write(data)

    def finish(self) -> None:
        """Have everything on the disk."""
        self.work()
        for sink in self._sinks:
            with storage_errors("write", sink.path.parent):
                if sink.stream is not None:
                    sink.stream.flush()
                    sync_file(sink.stream.fileno())
                    sink.stream.close()
            self.form.files.append(
                Upload(path=sink.path, name=sink.name, mime=sink.mime, size=sink.size)
            )

    def abandon(self) -> None:
        """Remove what was written: quick enough to be done while everything else is cancelled."""
        for sink in self._sinks:
            if sink.stream is not None:
                with contextlib.suppress(OSError):
                    sink.stream.close()
        _remove([sink.path for sink in self._sinks])


def _remove(paths: list[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _file_name(given: str) -> str:
    """A name for people, without folders."""
    last = given.replace("\\", "/").rpartition("/")[2]
    kept = "".join(c if c.isprintable() else "_" for c in last).strip()
    return kept[:200] if kept.strip(".") else "file"
