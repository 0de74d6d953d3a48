"""Who gets in, and under which names this server may be called: as the settings say it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import timedelta

from attrs import field, frozen

OWNER = "owner"
"""The one person where there are no users; also whoever comes with the printed address."""
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
OPEN_PATHS = frozenset({"/api/status", "/healthz", "/readyz", "/metrics"})
"""What programs on this machine may read without a token, and nothing else."""


@frozen(kw_only=True)
class WebAccess:
    """Who gets in."""

    host: str = "127.0.0.1"
    """Where the server listens."""
    hosts: frozenset[str] = frozenset()
    """Further names, without port: those under which a proxy is called."""
    is_https: bool = False
    """Whether people come by HTTPS, through a proxy: cookies are then sent no other way."""
    token: str | None = field(default=None, repr=False)
    """For programs; None: they get in by no token."""
    users: Mapping[str, str] = field(factory=dict, repr=False)
    """Names and hashed passwords of those who may log in; empty: nobody can."""
    cookie: str = "galaxy-session"
    """Cookies know no ports: two servers on one machine need two names."""
    session_life: timedelta = timedelta(days=30)
    """How long a browser that is not used stays known."""
    key_life: timedelta = timedelta(days=1)
    """How long a printed address is good for."""
    advice: str = "Open the address with a key that the server printed when it started."
    """Told to people who are not in: how to get a key."""

    def __attrs_post_init__(self) -> None:
        if (sentence := why_too_open(self.host, has_password=bool(self.users))) is not None:
            raise ValueError(sentence)

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)

    @property
    def cookie_name(self) -> str:
        """The cookie's whole name: a browser lets no other site set one with this prefix."""
        return f"__Host-{self.cookie}" if self.is_https else self.cookie

    @property
    def has_login(self) -> bool:
        """Whether anybody has a password."""
        return bool(self.users)

    def knows(self, name: str, *, local: str | None) -> bool:
        """Whether a request may name this host; `local` is the address it came in at.

        A page that was loaded under another name belongs to somebody else, even if that name
        leads here now (DNS rebinding).  An address cannot be bent like that, so where all
        addresses are listened at, the one that was called counts.
        """
        known = LOOPBACK_NAMES | {self.host.casefold(), *(name.casefold() for name in self.hosts)}
        if self.host in {"0.0.0.0", "::"} and local is not None:  # noqa: S104 - compared, not bound
            known |= {local.removeprefix("::ffff:").casefold()}
        return name.casefold() in known


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def why_too_open(host: str, *, has_password: bool) -> str | None:
    """Why the server must not listen there, in a sentence; None when it may."""
    if is_loopback(host) or has_password:
        return None
    return (
        f"Will not listen on {host}: others could reach it there, and no password is set. Set one"
        " with `galaxy config password`, or leave `web.host` at 127.0.0.1."
    )


def split_host(value: str) -> tuple[str, int | None] | None:
    """Name and port of a Host header; None when it is none."""
    name, colon, port = value.rpartition(":")
    if value.startswith("["):
        address, bracket, rest = value[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        name, colon, port = address, rest[:1], rest[1:]
    elif not colon:
        name, port = value, ""
    if not name or any(c in name for c in "/@\\?# \t") or (":" in name and value[0] != "["):
        return None
    if colon and not (port.isascii() and port.isdigit() and len(port) <= 5):  # noqa: PLR2004 - 65535
        return None
    return name.casefold().removesuffix("."), int(port) if port else None
