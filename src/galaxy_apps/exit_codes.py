"""Exit codes of all programs; docs/reference/cli.md lists them for people."""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """How a program ended."""

    OK = 0
    FAILURE = 1
    """What was asked for could not be done, or the audit trail is not intact."""
    USAGE = 2
    """The command line is wrong."""
    NOT_FOUND = 3
    """No such order, session, person, pairing code or copy to restore."""
    SETTINGS = 4
    """The settings cannot be used."""
    TIMED_OUT = 5
    """The wait was over before the order was; the order goes on."""
    NOT_SUCCEEDED = 6
    """The order that was waited for failed, was cancelled, expired or was given up."""
    NO_AGENT = 7
    """Hermes: the agent is missing or cannot be started."""
    NO_STORAGE = 8
    """The folder cannot be used: read-only, full, or on a network file system."""
    ALREADY_RUNNING = 9
    """Gateway: another one serves this folder."""
    INTERRUPTED = 130
    """Ctrl-C (128 + SIGINT); gateway: a second signal."""
    BROKEN_PIPE = 141
    """Whoever read the output went away (128 + SIGPIPE)."""
