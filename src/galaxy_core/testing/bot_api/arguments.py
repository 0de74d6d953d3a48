"""The arguments of a call, however they were sent: query, form, multipart or JSON."""

from __future__ import annotations

import json
import urllib.parse
from email.message import Message
from typing import Any

from attrs import Factory, define, frozen

from galaxy_core.testing.bot_api.errors import ApiError, bad_request
from galaxy_core.testing.bot_api.state import Json
from galaxy_core.testing.bot_api.texts import check_encoding
from galaxy_core.testing.http import Request

_LARGEST_UPLOAD = 50 * 1024 * 1024


@frozen
class Upload:
    """A file in the body of a request."""

    name: str
    mime: str
    content: bytes


@define
class Arguments:
    """Named values of one call, and its files."""

    values: Json
    uploads: dict[str, Upload] = Factory(dict)

    @classmethod
    def of(cls, request: Request) -> Arguments:
        """Read a request; raises `ApiError`."""
        arguments = cls(dict(request.query))
        kind = Message()
        kind["content-type"] = request.headers.get("content-type", "")
        match kind.get_content_type() if request.body else "":
            case "application/json":
                try:
                    arguments.values.update(request.json())
                except (ValueError, TypeError):
                    raise bad_request("can't parse JSON object") from None
            case "application/x-www-form-urlencoded":
                text = request.body.decode("utf-8", "surrogateescape")
                arguments.values.update(urllib.parse.parse_qsl(text, keep_blank_values=True))
            case "multipart/form-data":
                arguments._read_parts(request.body, str(kind.get_param("boundary", "")))
        if sum(len(upload.content) for upload in arguments.uploads.values()) > _LARGEST_UPLOAD:
            raise ApiError(413, "Request Entity Too Large")
        check_encoding(arguments.values)
        return arguments

    def _read_parts(self, body: bytes, boundary: str) -> None:
        for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:-1]:
            head, _, content = part.partition(b"\r\n\r\n")
            headers = Message()
            for line in head.decode().split("\r\n"):
                name, _, value = line.partition(":")
                if value:
                    headers[name.strip()] = value.strip()
            name = str(headers.get_param("name", "", "content-disposition"))
            if (file_name := headers.get_filename()) is not None:
                self.uploads[name] = Upload(file_name, headers.get_content_type(), content)
            else:
                self.values[name] = content.decode("utf-8", "surrogateescape")

    def logged(self) -> Json:
        """The arguments as tests read them: JSON in strings is opened, files are sizes."""
        opened: Json = {name: _opened(value) for name, value in self.values.items()}
        for name, upload in self.uploads.items():
            opened[name] = {"file_name": upload.name, "size": len(upload.content)}
        return opened

    def has(self, name: str) -> bool:
        """Whether it was given at all."""
        return name in self.values or name in self.uploads

    def text(self, name: str, default: str = "") -> str:
        """A string."""
        value = self.values.get(name, default)
        if value is None:
            return default
        return value if isinstance(value, str) else json.dumps(value)

    def integer(self, name: str, default: int = 0) -> int:
        """A whole number; what is none counts as not given, as in the real server."""
        try:
            return int(self.values.get(name, default))
        except (TypeError, ValueError):
            return default

    def flag(self, name: str) -> bool:
        """A truth value."""
        value = self.values.get(name, False)
        return str(value).lower() in {"true", "yes", "1"}

    def structure(self, name: str, what: str) -> Any:  # noqa: ANN401 - JSON
        """A value in JSON, opened if it came as a string; None where there is none."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            opened = json.loads(value)
        except ValueError:
            raise bad_request(f"can't parse {what} JSON object") from None
        check_encoding(opened)
        return opened

    def objects(self, name: str, what: str) -> list[Any]:
        """A list in JSON."""
        value = self.structure(name, what)
        if value is None:
            return []
        if not isinstance(value, list):
            raise bad_request(f"{what} must be an Array")
        return value


def _opened(value: object) -> object:
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
