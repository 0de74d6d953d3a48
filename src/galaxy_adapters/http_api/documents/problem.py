"""What the API answers when it refuses."""

from __future__ import annotations

from typing import Annotated

from attrs import frozen


@frozen(kw_only=True)
class ProblemDocument:
    """Problem details (RFC 9457); without a `type`, so the status says what kind it is."""

    title: str
    status: int
    detail: Annotated[str, "What is wrong and what to do about it, in sentences."]
