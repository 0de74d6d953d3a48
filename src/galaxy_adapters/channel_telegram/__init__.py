"""Telegram: a bot that people write to, and that writes to them.

Updates are stored before Telegram is told that they arrived (`_inbound`), and interpreted by our
own reading of their JSON (`_updates`).
"""

from __future__ import annotations

from galaxy_adapters.channel_telegram._outgoing import OutgoingRules
from galaxy_adapters.channel_telegram.channel import TelegramChannel
from galaxy_adapters.channel_telegram.config import TelegramConfig, WebhookConfig

__all__ = ["OutgoingRules", "TelegramChannel", "TelegramConfig", "WebhookConfig"]
