"""Ending a turn, and seeing that it has ended."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import anyio

from galaxy_adapters.dispatch_opencode_server.client import CallNotFound, OpencodeClient
from galaxy_core.domain.errors import DispatcherUnavailable

_PATIENCE = timedelta(seconds=15)
_POLL_SECONDS = 0.1
_STILL_POLLS = 3
"""Looks in a row that must find nothing: a prompt that has just been accepted is not busy yet."""


async def family_of(client: OpencodeClient, root: str) -> dict[str, str]:
    """Map each session that works for `root`, at any depth, to its parent."""
    parents: dict[str, str] = {}
    waiting = [root]
    while waiting:
        parent = waiting.pop()
        for child in await client.children(parent):
            name = str(child.get("id"))
            if name not in parents:
                parents[name] = parent
                waiting.append(name)
    return parents


async def stop_session(client: OpencodeClient, directory: str, session: str) -> None:
    """Abort a session's turn, its tools and its sub-agents, and wait until all have stopped.

    Safe when nothing runs.  Raises `DispatcherUnavailable` when it goes on all the same.
    """
    try:
        members = {session, *await family_of(client, session)}
    except CallNotFound:
        return
    with anyio.move_on_after(_PATIENCE.total_seconds()):
        still = 0
        await client.abort(session)
        while still < _STILL_POLLS:
            busy = members & set(await client.status(directory))
            still = 0 if busy else still + 1
            for member in busy:
                await client.abort(member)
            await anyio.sleep(_POLL_SECONDS)
        await withdraw_requests(client, directory, members)
        return
    raise DispatcherUnavailable(f"opencode does not stop the session {session}.")


async def withdraw_requests(
    client: OpencodeClient, directory: str, sessions: Iterable[str]
) -> None:
    """Reject what still waits for an answer: an aborted turn leaves its requests behind."""
    members = set(sessions)
    for item in await client.permissions(directory):
        if item.get("sessionID") in members:
            await _quietly(client, directory, str(item.get("id")), is_permission=True)
    for item in await client.questions(directory):
        if item.get("sessionID") in members:
            await _quietly(client, directory, str(item.get("id")), is_permission=False)


async def _quietly(
    client: OpencodeClient, directory: str, request: str, *, is_permission: bool
) -> None:
    try:
        if is_permission:
            await client.reply_permission(directory, request, "reject", None)
        else:
            await client.reject_question(directory, request)
    except CallNotFound:
        return  # answered in between
