"""Files that come with an order, as parts of the message."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from galaxy_adapters.dispatch_opencode_server.client import Json
from galaxy_core.domain.errors import DispatchRejected
from galaxy_core.domain.order import Attachment

_SHOWN_TO_MODELS = ("image/", "audio/", "video/", "application/pdf")
"""Kinds that opencode passes on as they are, or says that the model cannot take them."""
_SAMPLE = 8192
_LARGEST_INLINE = 10 * 1024 * 1024


def file_parts(
    attachments: Sequence[Attachment], directory: Path, *, is_inline: bool
) -> list[Json]:
    """Make a part of each attachment; `is_inline` puts the content in, for a server elsewhere.

    Blocks for a look at each file.  Raises `DispatchRejected` for one that is not there.
    """
    return [_part(each, directory, is_inline=is_inline) for each in attachments]


def _part(attachment: Attachment, directory: Path, *, is_inline: bool) -> Json:
    if attachment.path:
        return _of_path(attachment, directory / attachment.path, is_inline=is_inline)
    url = attachment.url or ""
    address = urlsplit(url)
    if address.scheme not in ("http", "https", "data"):
        raise DispatchRejected(
            f"An attachment has neither a path nor a web address: {url[:200]!r}."
        )
    name = attachment.name or Path(address.path).name or "attachment"
    mime = attachment.mime or mimetypes.guess_type(address.path)[0] or "application/octet-stream"
    return {"type": "file", "mime": mime, "filename": name, "url": url}


def _of_path(attachment: Attachment, path: Path, *, is_inline: bool) -> Json:
    try:
        mime, size = _kind(attachment, path), path.stat().st_size
        if mime is None:
            # No model can be shown this; the agent's tools can open it.
            return {"type": "text", "text": f"Attached file: {path} ({size:,} bytes, binary)"}
        url = path.resolve().as_uri()
        if is_inline:
            if path.is_dir() or size > _LARGEST_INLINE:
                raise DispatchRejected(
                    f"The attachment {path} is a folder or larger than {_LARGEST_INLINE:,} bytes: "
                    "too much to be sent to an opencode on another machine."
                )
            url = f"data:{mime};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
    except OSError as error:
        raise DispatchRejected(
            f"The attachment {path} cannot be read: {error.strerror}."
        ) from error
    return {"type": "file", "mime": mime, "filename": attachment.name or path.name, "url": url}


def _kind(attachment: Attachment, path: Path) -> str | None:
    """Find the kind under which opencode shows the file to the model; None when it cannot."""
    if path.is_dir():
        return "application/x-directory"
    if path.exists() and not path.is_file():
        # A pipe would be waited for without end, and is nothing to be shown.
        raise DispatchRejected(f"The attachment {path} is neither a file nor a folder.")
    guessed = attachment.mime or mimetypes.guess_type(path.name)[0] or ""
    if guessed.startswith(_SHOWN_TO_MODELS):
        return guessed
    with path.open("rb") as stream:
        sample = stream.read(_SAMPLE)
    # opencode reads text/plain only; JSON, source code and the rest are text as well.
    return None if b"\0" in sample else "text/plain"
