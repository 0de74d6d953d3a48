"""The Telegram channel, piece by piece."""
