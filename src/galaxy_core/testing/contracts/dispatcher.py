"""The contract of the `Dispatcher` port: what an agent owes whoever sends it orders.

An adapter's test is a subclass that declares features and gives a harness::

    class TestMyDispatcher(DispatcherContract):
        features = DispatcherFeatures(outlives_caller=False)

        @pytest.fixture
        async def harness(self) -> AsyncIterator[DispatcherHarness]: ...

The suite knows opencode's manners (a conversation's earlier prompts are seen, `general` is no
agent in particular) but nothing of how an adapter reaches it.  Where every run is slow, single
tests of the parts can be taken over by name instead.
"""

from __future__ import annotations

from galaxy_core.testing.contracts.dispatcher_answers import AnswersSuite
from galaxy_core.testing.contracts.dispatcher_crashes import CrashesSuite
from galaxy_core.testing.contracts.dispatcher_endings import EndingsSuite
from galaxy_core.testing.contracts.dispatcher_harness import (
    DispatcherFeatures,
    DispatcherHarness,
)
from galaxy_core.testing.contracts.dispatcher_people import PeopleSuite

__all__ = ["DispatcherContract", "DispatcherFeatures", "DispatcherHarness"]


class DispatcherContract(AnswersSuite, CrashesSuite, EndingsSuite, PeopleSuite):
    """Inherit, and give a `harness` fixture."""
