"""How the web channel works."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from galaxy_adapters._web import OWNER


@frozen(kw_only=True)
class WebChannelConfig:
    """Limits, and who has conversations."""

    is_person: Callable[[str], bool] = OWNER.__eq__
    """Whether somebody of that name may log in (now)."""
    is_demo: bool = False
    """Whether answers come from a scripted model, and have to say so."""
    text_characters: int = 100_000
    """Of one message; the limit of orders is the gateway's matter."""
    file_bytes: int = 50 << 20
    """Of one file, in both directions."""
    files: int = 10
    """In one message."""
    conversations: int = 500
    """Of one person."""
