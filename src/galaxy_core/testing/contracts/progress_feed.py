"""The contract of `ProgressFeed`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

import anyio

from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.operations import ProgressItem
from galaxy_core.domain.response import Usage
from galaxy_core.domain.run import (
    FilesChanged,
    Noticed,
    Option,
    PermissionRequested,
    ProviderRetrying,
    Question,
    QuestionAsked,
    ReasoningAppended,
    RequestResolved,
    RunEnded,
    RunEvent,
    RunStarted,
    StepFinished,
    TextAppended,
    Todo,
    TodosChanged,
    ToolChanged,
    ToolStatus,
    UsageReported,
    Verdict,
)
from galaxy_core.ports.progress_feed import ProgressFeed
from galaxy_core.testing.clock import START, settle
from galaxy_core.testing.contracts.contract import PROMPT_SECONDS, Contract, requires
from galaxy_core.testing.contracts.harness import Harness, StoreFeatures

A = OrderId("a")
USAGE = Usage(input_tokens=10, output_tokens=5, cost_usd=0.01)
STARTED = RunStarted(session_id="ses_1", message_id="msg_1", agent="build", model="p/m")
ENDED = RunEnded(verdict=Verdict.SUCCEEDED, text="Hello, world", session_id="ses_1", usage=USAGE)
PERMISSION = PermissionRequested(
    request_id=RequestId("r1"), permission="bash", patterns=("rm *",), title="rm", always=("rm *",)
)
QUESTION = QuestionAsked(
    request_id=RequestId("r2"),
    questions=(Question(text="Which?", header="H", options=(Option(label="A"),)),),
)
EVENTS: tuple[RunEvent, ...] = (
    STARTED,
    ReasoningAppended(text="hm", part="p0"),
    TextAppended(text="Hello, ", part="p1"),
    TextAppended(text="world", part="p1"),
    ToolChanged(call_id="c1", tool="bash", status=ToolStatus.RUNNING, title="ls", detail="a\nb"),
    ToolChanged(call_id="c1", tool="bash", status=ToolStatus.COMPLETED, is_child=True),
    TodosChanged(todos=(Todo(content="one", status="pending", priority="high"),)),
    PERMISSION,
    RequestResolved(request_id=RequestId("r1"), how="once"),
    QUESTION,
    UsageReported(usage=USAGE),
    StepFinished(reason="tool-calls", number=1),
    ProviderRetrying(attempt=2, message="busy", next_at=START),
    FilesChanged(files=("a.py",)),
    Noticed(message="something"),
    ENDED,
)


class ProgressFeedContract(Contract):
    """Everything that a `ProgressFeed` owes its watchers."""

    features: ClassVar[StoreFeatures] = StoreFeatures()

    @requires("can_refuse")
    async def test_feed_that_cannot_be_written_stops_no_run(
        self, harness: Harness[ProgressFeed]
    ) -> None:
        """Telling nobody is no error; what follows is told again when that is possible."""
        feed = await harness.open()
        await feed.publish(A, STARTED)
        async with harness.refusing():
            await feed.publish(A, EVENTS[2])
        await feed.publish(A, ENDED)
        events = [item.event for item in await _follow(feed)]
        assert (events[0], events[-1]) == (STARTED, ENDED)

    async def test_order_that_nobody_told_of_has_no_progress(
        self, harness: Harness[ProgressFeed]
    ) -> None:
        """Asking for what is not there is no error."""
        feed = await harness.open()
        assert await feed.latest(A) is None
        await feed.forget(A)

    async def test_late_watcher_sees_everything(self, harness: Harness[ProgressFeed]) -> None:
        """Who comes late sees what has been, in order, and then the end."""
        feed = await harness.open()
        for event in EVENTS:
            await feed.publish(A, event)
        items = await _follow(feed)
        assert _joined(items) == _joined_events(EVENTS)
        numbers = [item.number for item in items]
        assert numbers == sorted(set(numbers))

    async def test_watcher_sees_events_as_they_come(self, harness: Harness[ProgressFeed]) -> None:
        """Who watches sees each event before the next one happens; the feed ends with the run."""
        feed = await harness.open()
        async with _watching(feed) as seen:
            for number, event in enumerate(EVENTS, 1):
                await feed.publish(A, event)
                await seen.until(number)

    @requires("has_several_processes")
    async def test_watcher_may_be_another_process(self, harness: Harness[ProgressFeed]) -> None:
        """The web page is served by another process than the one that runs the order."""
        worker, page = await harness.open(), await harness.open()
        async with _watching(page) as seen:
            for number, event in enumerate(EVENTS, 1):
                await worker.publish(A, event)
                await seen.until(number)
        progress = await page.latest(A)
        assert progress is not None
        assert progress.is_over

    async def test_watcher_goes_on_where_it_was(self, harness: Harness[ProgressFeed]) -> None:
        """A watcher that lost its connection misses nothing and sees nothing twice."""
        feed = await harness.open()
        for event in EVENTS:
            await feed.publish(A, event)
        items = await _follow(feed)
        for item in items[:-1]:
            rest = await _follow(feed, after=item.number)
            assert rest == [other for other in items if other.number > item.number]

    async def test_watcher_waits_for_the_order_to_begin(
        self, harness: Harness[ProgressFeed]
    ) -> None:
        """Watching may begin while the order waits."""
        feed = await harness.open()
        async with _watching(feed) as seen:
            await settle()
            assert not seen.items
            await feed.publish(A, STARTED)
            await seen.until(1)
            await feed.publish(A, ENDED)
        assert [item.event for item in seen.items] == [STARTED, ENDED]

    async def test_orders_do_not_mix(self, harness: Harness[ProgressFeed]) -> None:
        """Each order has a feed of its own."""
        feed = await harness.open()
        await feed.publish(A, STARTED)
        await feed.publish(OrderId("b"), EVENTS[2])
        await feed.publish(OrderId("b"), ENDED)
        await feed.publish(A, ENDED)
        assert [item.event for item in await _follow(feed)] == [STARTED, ENDED]

    async def test_slow_watcher_holds_nobody_up(self, harness: Harness[ProgressFeed]) -> None:
        """A run never waits for those who watch it, and they still see it whole."""
        feed = await harness.open()
        await feed.publish(A, STARTED)
        watcher = feed.follow(A)
        first = await anext(watcher)
        with anyio.fail_after(PROMPT_SECONDS):
            for number in range(300):
                await feed.publish(A, TextAppended(text=f"{number} ", part="p1"))
            await feed.publish(A, ENDED)
        items = [first, *[item async for item in watcher]]
        text = "".join(i.event.text for i in items if isinstance(i.event, TextAppended))
        assert text == "".join(f"{number} " for number in range(300))
        assert items[-1].event == ENDED

    async def test_progress_is_the_sum_of_the_events(self, harness: Harness[ProgressFeed]) -> None:
        """Who wants no stream sees where the order stands."""
        feed = await harness.open()
        for event in EVENTS[:10]:
            await feed.publish(A, event)
        progress = await feed.latest(A)
        assert progress is not None
        assert progress.text == "Hello, world"
        assert progress.waiting_for == (QUESTION,)
        assert [todo.content for todo in progress.todos] == ["one"]
        assert (progress.tool, progress.is_over) == (None, False)
        for event in EVENTS[10:]:
            await feed.publish(A, event)
        progress = await feed.latest(A)
        assert progress is not None
        assert (progress.steps, progress.usage, progress.waiting_for) == (1, USAGE, ())
        assert progress.is_over

    async def test_running_tool_is_shown(self, harness: Harness[ProgressFeed]) -> None:
        """People see what the agent does now."""
        feed = await harness.open()
        for event in EVENTS[:5]:
            await feed.publish(A, event)
        progress = await feed.latest(A)
        assert progress is not None
        assert progress.tool == "ls"

    async def test_forgotten_feed_is_gone(self, harness: Harness[ProgressFeed]) -> None:
        """What nobody needs any more takes no room; safe twice."""
        feed = await harness.open()
        await feed.publish(A, STARTED)
        await feed.publish(OrderId("b"), STARTED)
        await feed.forget(A)
        await feed.forget(A)
        assert await feed.latest(A) is None
        assert await feed.latest(OrderId("b")) is not None


async def _follow(feed: ProgressFeed, *, after: int = 0) -> list[ProgressItem]:
    with anyio.fail_after(PROMPT_SECONDS):
        return [item async for item in feed.follow(A, after=after)]


class _Seen:
    """What a watcher has seen so far."""

    def __init__(self) -> None:
        self.items: list[ProgressItem] = []
        self._news = anyio.Event()

    async def follow(self, feed: ProgressFeed) -> None:
        async for item in feed.follow(A):
            self.items.append(item)
            news, self._news = self._news, anyio.Event()
            news.set()

    async def until(self, number: int) -> None:
        """Wait until the event with that number has been seen, by itself or joined to others."""
        with anyio.fail_after(PROMPT_SECONDS):
            while not self.items or self.items[-1].number < number:
                await self._news.wait()


@asynccontextmanager
async def _watching(feed: ProgressFeed) -> AsyncIterator[_Seen]:
    """Follow the feed while the block runs, and then to its end."""
    seen = _Seen()
    with anyio.fail_after(PROMPT_SECONDS * 2):
        async with anyio.create_task_group() as group:
            group.start_soon(seen.follow, feed, name="watch")
            yield seen


def _joined(items: list[ProgressItem]) -> list[RunEvent]:
    return _joined_events([item.event for item in items])


def _joined_events(events: list[RunEvent] | tuple[RunEvent, ...]) -> list[RunEvent]:
    """The events with neighbouring pieces of the same text put together."""
    joined: list[RunEvent] = []
    for event in events:
        last = joined[-1] if joined else None
        if (
            isinstance(event, TextAppended)
            and isinstance(last, TextAppended)
            and event.part == last.part
        ):
            joined[-1] = TextAppended(text=last.text + event.text, part=event.part)
        else:
            joined.append(event)
    return joined
