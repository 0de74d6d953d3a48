"""The contract of `SessionStore`."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

import anyio
import pytest

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import ConversationKey
from galaxy_core.ports.session_store import SessionStore
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures
from galaxy_core.testing.factories import make_session

TALK = ConversationKey("talk")


class SessionStoreContract(Contract):
    """Everything that a `SessionStore` owes its callers."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_refusing_store_keeps_what_it_has(self, harness: Harness[SessionStore]) -> None:
        """A session that could not be remembered is said so, and the old one is still known."""
        store = await harness.open()
        old, new = (make_session(conversation="talk", session_id=f"ses_{n}") for n in "ab")
        await store.put(old)
        async with harness.refusing():
            with pytest.raises(StorageUnavailable):
                await store.put(new)
        assert await store.get(TALK) == old
        await store.put(new)
        assert await store.get(TALK) == new

    async def test_unknown_conversation_is_none(self, harness: Harness[SessionStore]) -> None:
        """Asking for what is not there is no error."""
        store = await harness.open()
        assert await store.get(TALK) is None
        assert list(await store.list()) == []
        assert not await store.reset(TALK)

    async def test_newer_session_replaces_the_older(self, harness: Harness[SessionStore]) -> None:
        """A conversation has one session, and others are left alone."""
        store = await harness.open()
        other = make_session(conversation="other")
        await store.put(other)
        await store.put(make_session(conversation="talk", session_id="ses_old"))
        new = make_session(conversation="talk", session_id="ses_new")
        await store.put(new)
        assert await store.get(TALK) == new
        assert await store.get(other.conversation) == other

    async def test_concurrent_writers_lose_nothing(self, harness: Harness[SessionStore]) -> None:
        """Conversations that end at the same moment are all remembered."""
        stores = [await harness.open()]
        if self.features.has_several_processes:
            stores.append(await harness.open())
        sessions = [make_session() for _ in range(12)]
        async with anyio.create_task_group() as group:
            for number, session in enumerate(sessions):
                group.start_soon(stores[number % len(stores)].put, session, name="put")
        for session in sessions:
            assert await stores[0].get(session.conversation) == session

    @pytest.mark.parametrize(
        "key", ["telegram:-100:7", "../up", "a/b", "ä \n \0 }", "", "k" * 2000, "__proto__"]
    )
    async def test_conversation_may_have_any_name(
        self, harness: Harness[SessionStore], key: str
    ) -> None:
        """A conversation's key is other people's text, and never a file name."""
        store = await harness.open()
        session = make_session(updated_at=harness.now())
        await store.put(session)
        named = make_session(session_id="ses_named")
        named = type(named)(
            conversation=ConversationKey(key), session_id="ses_named", updated_at=harness.now()
        )
        await store.put(named)
        assert await store.get(ConversationKey(key)) == named
        assert await store.get(session.conversation) == session

    async def test_every_field_comes_back(self, harness: Harness[SessionStore]) -> None:
        """Choices and times are kept as they were; unknown fields too."""
        store = await harness.open()
        session = make_session(
            conversation="talk",
            updated_at=harness.now(),
            dispatcher="opencode",
            agent="sisyphus",
            model="provider/model",
            wire={"colour": "blue"},
        )
        await store.put(session)
        found = await store.get(TALK)
        assert found == session
        assert found.wire["colour"] == "blue"

    async def test_last_used_is_listed_first(self, harness: Harness[SessionStore]) -> None:
        """People look for what they used last."""
        store = await harness.open()
        for minutes, name in ((5, "b"), (1, "c"), (9, "a")):
            moment = harness.now() + timedelta(minutes=minutes)
            await store.put(make_session(conversation=name, updated_at=moment))
        assert [session.conversation for session in await store.list()] == ["a", "b", "c"]

    async def test_reset_forgets_the_session_and_keeps_the_choices(
        self, harness: Harness[SessionStore]
    ) -> None:
        """The next order begins a new session, with the same agent and model."""
        store = await harness.open()
        await store.put(make_session(conversation="talk", agent="sisyphus", model="p/m"))
        assert await store.reset(TALK)
        found = await store.get(TALK)
        assert found is not None
        assert (found.session_id, found.agent, found.model) == (None, "sisyphus", "p/m")
        assert not await store.reset(TALK)

    async def test_reset_leaves_other_conversations_alone(
        self, harness: Harness[SessionStore]
    ) -> None:
        """A person resets their own conversation only."""
        store = await harness.open()
        kept = make_session()
        await store.put(kept)
        await store.put(make_session(conversation="talk"))
        await store.reset(TALK)
        assert await store.get(kept.conversation) == kept

    @requires("has_several_processes")
    async def test_other_process_sees_it(self, harness: Harness[SessionStore]) -> None:
        """The command line resets what the daemon remembers."""
        daemon, person = await harness.open(), await harness.open()
        await daemon.put(make_session(conversation="talk"))
        assert await person.reset(TALK)
        found = await daemon.get(TALK)
        assert found is None or found.session_id is None

    @requires("survives_restart")
    async def test_sessions_survive_a_restart(self, harness: Harness[SessionStore]) -> None:
        """A conversation goes on where it was."""
        store = await harness.open()
        session = make_session(conversation="talk")
        await store.put(session)
        await harness.restart()
        assert await (await harness.open()).get(TALK) == session
