"""A file that goes along with a call."""

from __future__ import annotations

from typing import BinaryIO

from attrs import frozen


@frozen
class Upload:
    """The content of a parameter, under the name that people will see."""

    name: str
    content: bytes | BinaryIO
