"""Files that come with an order."""

import os
from pathlib import Path

import pytest

from galaxy_adapters.dispatch_opencode_server.attachments import file_parts
from galaxy_core.domain.errors import DispatchRejected
from galaxy_core.domain.order import Attachment


def test_pipe_is_no_attachment(tmp_path: Path) -> None:
    """Whoever read it would wait without end."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DispatchRejected, match="neither a file nor a folder"):
        file_parts([Attachment(path="pipe")], tmp_path, is_inline=False)


def test_name_is_kept_apart_from_the_address(tmp_path: Path) -> None:
    """Spaces, accents and signs that mean something in an address are part of the name."""
    (tmp_path / "a b #é?.txt").write_text("hello")
    [part] = file_parts([Attachment(path="a b #é?.txt")], tmp_path, is_inline=False)
    assert part["filename"] == "a b #é?.txt"
    assert part["url"] == f"{tmp_path.as_uri()}/a%20b%20%23%C3%A9%3F.txt"
