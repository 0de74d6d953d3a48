"""The log: one chain for our own events and for every library's.

To a person's terminal as aligned text, otherwise as one JSON object a line, always to standard
error.  Secrets are taken out of the finished line, so no way into the log goes around it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from galaxy_apps.settings import MASK

_PATTERNS = (
    # Telegram: bot id, colon, secret.  Also inside the addresses that the bot library logs.
    (re.compile(r"\d{6,12}:[A-Za-z0-9_-]{30,}"), MASK),
    # Values of authorisation headers, in whichever notation they come.
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\g<1>{MASK}"),
    (
        re.compile(r"\b((?i:basic)\s+)(?=\S*(?:\d|=|[a-z][A-Z]))[A-Za-z0-9+/_=-]{8,}"),
        rf"\g<1>{MASK}",
    ),
    # User and password in an address.
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:]*:[^\s/@]+@"), rf"\g<1>{MASK}@"),
)
_SECRET_KEYS = frozenset({"token", "password", "secret", "authorization", "api_key"})
_SHORTEST_SECRET = 4
"""Shorter ones would take half the log away when they are masked."""


class Redactor:
    """Masks tokens and passwords in finished log lines."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms: set[str] = set()
        for secret in secrets:
            if len(secret) >= _SHORTEST_SECRET:
                # As it is, as JSON writes it, and as repr() writes it: quotes differ.
                forms |= {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1]}
        # The longest first: one secret may be part of another.
        self._known = sorted(forms, key=len, reverse=True)

    def __call__(self, line: str) -> str:
        """The line without its secrets."""
        for secret in self._known:
            line = line.replace(secret, MASK)
        for pattern, replacement in _PATTERNS:
            line = pattern.sub(replacement, line)
        return line


def mask_secret_keys(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Mask what is named as a secret, whatever it looks like."""
    for name in event:
        if name.casefold() in _SECRET_KEYS:
            event[name] = MASK
    return event


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders a record of any logger, then redacts the line, tracebacks included."""

    def __init__(self, redact: Redactor, *, is_for_people: bool, is_coloured: bool) -> None:
        renderer = (
            structlog.dev.ConsoleRenderer(
                colors=is_coloured, exception_formatter=structlog.dev.plain_traceback
            )
            if is_for_people
            else structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        )
        super().__init__(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([] if is_for_people else [structlog.processors.format_exc_info]),
                renderer,
            ],
            foreign_pre_chain=_chain(),
        )
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def _chain() -> list[structlog.typing.Processor]:
    """What every event goes through, ours and the libraries'."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        mask_secret_keys,
    ]


def configure_logging(
    *,
    level: str = "INFO",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
    is_coloured: bool | None = None,
) -> None:
    """Set the log up, once for a process; called again it replaces what was set up.

    `stream` is standard error by default; where that is closed, nothing is logged.  Colours: on a
    terminal, unless told otherwise.
    """
    stream = sys.stderr if stream is None else stream
    is_terminal = stream is not None and stream.isatty()
    handler: logging.Handler = (
        logging.NullHandler() if stream is None else logging.StreamHandler(stream)
    )
    handler.setFormatter(
        _Formatter(
            Redactor(secrets),
            is_for_people=is_terminal,
            is_coloured=is_terminal if is_coloured is None else is_coloured,
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    # A request line each, many a second: our own events say what matters.  What telegram logs
    # below that holds people's messages.
    for noisy in ("httpx", "httpcore", "telegram"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)  # noqa: FBT003  the standard library's own signature
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_chain(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # tests set the log up more than once
    )
