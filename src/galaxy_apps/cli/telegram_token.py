"""Whether Telegram knows a token: asked once, at `galaxy init`."""

from __future__ import annotations

import json
import re

from galaxy_core.domain.errors import PermanentError, TransientError

CLOUD = "https://api.telegram.org/bot"
PATIENCE_S = 10.0
_FORM = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]+")
_NOT_KNOWN = frozenset({401, 404})


class TokenRefused(PermanentError, ValueError):
    """It is no token, or none that Telegram knows."""


class TokenUnchecked(TransientError):
    """Telegram could not be asked."""


def bot_name(token: str, base_url: str | None = None) -> str:
    """The name of the token's bot, as `@name`.  Raises `TokenRefused`, `TokenUnchecked`.

    `base_url` is the Bot API up to where the token follows; None: Telegram's own.
    """
    from urllib import error, request

    if not _FORM.fullmatch(token):
        raise TokenRefused("That is no token: @BotFather gives them in the form 123456:letters.")
    address = f"{base_url or CLOUD}{token}/getMe"
    try:
        # The scheme is that of the setting, which is checked to be http or https.
        with request.urlopen(address, timeout=PATIENCE_S) as answer:  # noqa: S310
            content = json.loads(answer.read(1 << 16))
    except error.HTTPError as failure:
        failure.close()
        if failure.code in _NOT_KNOWN:
            raise TokenRefused("Telegram does not know this token: copy it anew.") from None
        raise TokenUnchecked(f"Telegram answered {failure.code}.") from None
    except (OSError, ValueError) as failure:
        # Its words hold the address, and with it the token.
        kind = type(getattr(failure, "reason", failure)).__name__
        raise TokenUnchecked(f"Telegram cannot be reached ({kind}).") from None
    bot = content.get("result") if isinstance(content, dict) else None
    if not isinstance(bot, dict) or not isinstance(bot.get("username"), str):
        raise TokenUnchecked("What answered is no Bot API.")
    return f"@{bot['username']}"
