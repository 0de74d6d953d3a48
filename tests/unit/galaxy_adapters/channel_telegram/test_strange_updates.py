"""Updates of any form: stored, given out or set aside, and never in the way of others."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxy_adapters.channel_telegram._grouping import outline
from galaxy_adapters.channel_telegram._inbound import Inbox
from galaxy_core.testing.clock import settle
from galaxy_core.testing.memory import ManualClock, MemoryIncidentSink, MemoryNoteStore, NoteBox
from tests.unit.galaxy_core.wire.strategies import json_values

BOT = "123456"
KEYS = (
    *("update_id", "message", "edited_message", "callback_query", "from", "chat", "id", "text"),
    *("date", "media_group_id", "caption", "photo", "document", "voice", "file_id", "entities"),
    *("offset", "length", "type", "forward_origin", "reply_to_message", "message_id", "is_bot"),
    *("message_thread_id", "is_topic_message", "sender_chat", "data", "username", "file_size"),
)
leaves = json_values | st.sampled_from([1, 2, -1, 10**400, "private", "group", "mention", "x"])
things = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=14,
)
updates = (
    st.dictionaries(st.sampled_from(KEYS), things, max_size=5)
    | st.fixed_dictionaries({"update_id": st.integers(1, 5), "message": things})
    | things
)
QUICK = settings(deadline=timedelta(seconds=3), max_examples=60)


@QUICK
@given(st.lists(updates, max_size=5))
def test_batches_of_any_form(batch: list[Any]) -> None:
    """A batch with rubbish in it is taken whole; after it a proper message still comes through."""

    async def play() -> None:
        clock, box = ManualClock(), NoteBox()
        inbox = Inbox(BOT, "telegram", MemoryNoteStore(clock, box), clock, MemoryIncidentSink())
        inbox._meet("the_bot")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(inbox.give_out, name="give-out")
            await inbox.store(batch)
            proper = {
                "update_id": 77,
                "message": {
                    "message_id": 7,
                    "date": 1_770_000_000,
                    "chat": {"id": 5, "type": "private"},
                    "from": {"id": 5, "is_bot": False, "first_name": "Ann"},
                    "text": "a proper message",
                },
            }
            await inbox.store([proper])
            for _ in range(5):
                inbox.looked()
                await settle()
                await clock.elapse(timedelta(seconds=5))
            texts = []
            while inbox._receiver.statistics().current_buffer_used:
                found = await inbox.receive()
                texts.append(getattr(found, "text", ""))
                await inbox.confirm(found)
            assert any("a proper message" in text for text in texts)
            assert not inbox._open
            tasks.cancel_scope.cancel()
        inbox.close()

    anyio.run(play)


@QUICK
@given(st.dictionaries(st.sampled_from(KEYS), things, max_size=6))
def test_outlines_of_any_form(update: dict[str, Any]) -> None:
    """What belongs together is asked of any update."""
    outline(update)
