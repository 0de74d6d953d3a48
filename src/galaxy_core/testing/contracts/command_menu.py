"""The contract of `CommandMenu`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import pytest
from attrs import frozen

from galaxy_core.domain.errors import TransientError
from galaxy_core.ports.command_menu import CommandMenu, MenuEntry
from galaxy_core.testing.contracts.contract import Contract, requires
from galaxy_core.testing.contracts.harness import Harness

PERSON = "77"

_HELP = MenuEntry("help", "What I can do")
_STATUS = MenuEntry("status", "How things stand")
_CANCEL = MenuEntry("cancel", "Stop an order")


@frozen(kw_only=True)
class MenuFeatures:
    """What a menu can do beyond the bare contract."""

    has_outages: bool = True
    """The harness can make the other side refuse for a while."""


class MenuHarness(Harness[CommandMenu]):
    """A channel whose people were never shown a menu."""

    @abstractmethod
    async def menu_of(self, person: str) -> Sequence[MenuEntry]:
        """What the person with that id is shown in a private chat."""

    async def refuse_once(self, retry_after: timedelta) -> None:
        """The other side refuses the next call and asks us to wait so long."""
        raise NotImplementedError


class CommandMenuContract(Contract):
    """Everything that a `CommandMenu` owes the gateway."""

    features: ClassVar[MenuFeatures] = MenuFeatures()

    async def test_everyone_sees_the_menu(self, harness: MenuHarness) -> None:
        """Entries are shown as they were given, in their order."""
        menu = await harness.open()
        await menu.publish([_STATUS, _HELP], {})
        assert list(await harness.menu_of(PERSON)) == [_STATUS, _HELP]

    async def test_a_person_sees_their_own_menu(self, harness: MenuHarness) -> None:
        """Whoever may do more is shown more; nobody else is."""
        menu = await harness.open()
        await menu.publish([_HELP], {PERSON: [_HELP, _CANCEL]})
        assert list(await harness.menu_of(PERSON)) == [_HELP, _CANCEL]
        assert list(await harness.menu_of("88")) == [_HELP]

    async def test_newer_menu_replaces_the_older(self, harness: MenuHarness) -> None:
        """Publishing is safe at every start, and what was there before is gone."""
        menu = await harness.open()
        await menu.publish([_HELP, _STATUS], {PERSON: [_CANCEL]})
        for _ in range(2):
            await menu.publish([_HELP], {PERSON: [_STATUS]})
        assert list(await harness.menu_of("88")) == [_HELP]
        assert list(await harness.menu_of(PERSON)) == [_STATUS]

    @requires("has_outages")
    async def test_refusal_is_transient(self, harness: MenuHarness) -> None:
        """A menu that could not be set is set later, after the time that was asked for."""
        menu = await harness.open()
        await harness.refuse_once(timedelta(seconds=7))
        with pytest.raises(TransientError) as caught:
            await menu.publish([_HELP], {})
        assert caught.value.retry_after == timedelta(seconds=7)
        await harness.elapse(timedelta(seconds=8))
        await menu.publish([_HELP], {})
        assert list(await harness.menu_of(PERSON)) == [_HELP]
