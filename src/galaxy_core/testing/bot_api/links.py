"""Addresses in entities and buttons: one that Telegram cannot use spoils the whole message.

In texts with a parse mode such links are left out instead.

A host needs a dot, so `src/app.py:12`, `http://localhost:8000` and `@somebody` are refused, while
`app.py:12` passes as host and port.
"""

from __future__ import annotations

import re

_OWN = re.compile(r"(?:tg|ton|tonsite):(?://)?([^/?#]*)", re.IGNORECASE)
_HTTP = re.compile(r"(?:([^:/?#\[\]@]*)://)?([^/?#]*)")
_HOST = re.compile(r"[0-9A-Za-z.\-_!$,~*'()&;=+%\u0080-\U0010ffff]*")
_HIGHEST_PORT = 65535


def refusal_of(url: str) -> str | None:
    """Why an address is refused; None if it is fine."""
    if (own := _OWN.match(url)) is not None:
        is_fine = re.fullmatch(r"[A-Za-z0-9_.-]*", own.group(1))
        return None if is_fine else "Unallowed characters in URL host"
    parts = _HTTP.match(url)
    if parts is None or (parts.group(1) or "http").lower() not in {"http", "https"}:
        return "Unsupported URL protocol"
    rest = parts.group(2).rpartition("@")[2]
    host, colon, port = rest.rpartition(":") if not rest.endswith("]") else (rest, "", "")
    if not colon:
        host = rest
    elif not (port.isdecimal() and 0 < int(port) <= _HIGHEST_PORT):
        return "Wrong port number specified in the URL"
    is_ipv6 = host.startswith("[") and host.endswith("]")
    if not host:
        return "URL host is empty"
    if not is_ipv6 and not _HOST.fullmatch(host):
        return "Disallowed character in URL host"
    return None if is_ipv6 or "." in host else "Wrong HTTP URL"
