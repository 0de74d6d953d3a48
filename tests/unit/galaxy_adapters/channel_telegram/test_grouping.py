"""Putting together what was sent as one thing."""

from datetime import timedelta
from typing import Any

import pytest

from galaxy_adapters.channel_telegram._grouping import LOOK, WINDOW, Grouping, Outline, seam
from galaxy_core.testing.clock import ManualClock
from tests.unit.galaxy_adapters.channel_telegram.updates import (
    BEN,
    DATE,
    GROUP,
    PRIVATE,
    SMALL_GROUP,
    Json,
    forward,
    message,
    photo,
)

FULL = "x" * 4096
MOMENT = timedelta(milliseconds=1)


class Line:
    """Updates that come in, and what is given out, on a clock that stands still."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.grouping = Grouping()
        self.next_id = 1

    def comes(self, *contents: Json) -> None:
        """One batch; each is a message, or a whole update if it has no chat."""
        batch = []
        for content in contents:
            update = {"message": content} if "chat" in content else content
            batch.append((self.next_id, update))
            self.next_id += 1
        heads = self.grouping.heads(batch)
        for number, update in batch:
            self.grouping.add(number, heads[number], update, self.clock.monotonic())

    def goes(self) -> list[list[int]]:
        """What is given out now: update ids by group."""
        return [group.members for group in self.grouping.take(self.clock.monotonic())]

    def after(self, duration: timedelta) -> list[list[int]]:
        """What is given out then."""
        self.clock.advance(duration)
        return self.goes()

    def looked(self) -> list[list[int]]:
        """What is given out once Telegram has said that it has nothing more."""
        self.grouping.looked(self.clock.monotonic())
        return self.goes()


@pytest.fixture
def line() -> Line:
    """An empty one."""
    return Line()


def text(number: int, content: str = "hello", **more: Any) -> Json:  # noqa: ANN401 - JSON
    """A text of Ann."""
    return message(message_id=number, text=content, **more)


# ---- what waits


def test_text_waits_for_a_look(line: Line) -> None:
    """A text waits until it is known that nothing was sent with it, not for a time."""
    line.comes(text(10))
    assert line.grouping.wants_look
    assert line.goes() == []
    assert line.looked() == [[1]]
    assert not line.grouping.wants_look


def test_look_that_takes_long(line: Line) -> None:
    """Should the look take long, the text goes without it."""
    line.comes(text(10))
    assert line.after(LOOK - MOMENT) == []
    assert line.after(MOMENT) == [[1]]


@pytest.mark.parametrize(
    "update",
    [
        message(message_id=10, **photo(caption="look")),
        message(message_id=10, voice={"file_id": "v"}),
        message(message_id=10, new_chat_members=[BEN]),
        {"callback_query": {"id": "1", "message": message()}},
        {"edited_message": message(text="new")},
        {"my_chat_member": {"chat": PRIVATE}},
        {"message": {}},
        {"message": None},
        {},
    ],
)
def test_what_never_waits(line: Line, update: Json) -> None:
    """What nothing can follow waits for nothing, not even for a look."""
    line.comes(update)
    assert not line.grouping.wants_look
    assert line.goes() == [[1]]


def test_not_the_newest(line: Line) -> None:
    """A text that something else followed in its chat waits no more."""
    line.comes(text(10, "one"), text(11, "two"))
    assert line.goes() == [[1]]
    assert line.looked() == [[2]]


# ---- albums


def album(number: int, group: str = "7", **more: Any) -> Json:  # noqa: ANN401 - JSON
    """One photo of an album."""
    return message(message_id=number, media_group_id=group, **photo(), **more)


def test_album(line: Line) -> None:
    """An album waits for a window after its newest part, and no longer."""
    line.comes(album(10))
    assert line.after(WINDOW - MOMENT) == []
    line.comes(album(11), album(12))
    assert line.looked() == []
    assert line.after(WINDOW - MOMENT) == []
    assert line.after(MOMENT) == [[1, 2, 3]]


def test_two_albums(line: Line) -> None:
    """A second album ends the first."""
    line.comes(album(10), album(11), album(12, "8"), album(13, "8"))
    assert line.goes() == [[1, 2]]
    assert line.after(WINDOW) == [[3, 4]]


def test_same_album_of_another_chat(line: Line) -> None:
    """Ids of albums count within a chat."""
    line.comes(album(10), album(11, chat=GROUP))
    assert line.after(WINDOW) == [[1], [2]]


# ---- long pastes


def test_paste(line: Line) -> None:
    """A text of nearly full length waits for its next part; a short part is the last."""
    line.comes(text(10, FULL))
    assert line.looked() == []
    line.comes(text(11, "y" * 3900, date=DATE + 1))
    assert line.after(WINDOW - MOMENT) == []
    line.comes(text(12, "the end", date=DATE + 2))
    assert line.looked() == [[1, 2, 3]]


def test_paste_that_ends_full(line: Line) -> None:
    """When nothing follows a full part, it goes after the window."""
    line.comes(text(10, FULL))
    assert line.after(WINDOW) == [[1]]
    line.comes(text(11, "a new thought"))
    assert line.looked() == [[2]]


@pytest.mark.parametrize(
    "second",
    [
        text(11, "later", date=DATE + 3),
        text(11, "earlier", date=DATE - 1),
        text(17, "far away"),
        text(10, "the same number"),
        text(11, "of somebody else", sender=BEN),
        text(11, "in a topic", message_thread_id=3),
        message(message_id=11, **photo(caption="a file")),
        {"edited_message": text(10, "an edit")},
    ],
)
def test_no_part(line: Line, second: Json) -> None:
    """What is not from the same person, place and moment is no part of a paste."""
    line.comes(text(10, FULL), second)
    assert sorted(line.after(WINDOW)) == [[1], [2]]


def test_short_texts(line: Line) -> None:
    """Short texts are never joined, however quick."""
    line.comes(text(10, "one"), text(11, "two"), text(12, "x" * 3000), text(13, "three"))
    assert line.goes() + line.looked() == [[1], [2], [3], [4]]


@pytest.mark.parametrize(
    "chat, number, is_one",
    [(GROUP, 11, True), (GROUP, 12, False), (SMALL_GROUP, 13, True), (PRIVATE, 13, True)],
)
def test_numbers(line: Line, chat: Json, number: int, is_one: bool) -> None:  # noqa: FBT001
    """Where one counter serves all chats of the bot, numbers may be left out between parts."""
    line.comes(text(10, FULL, chat=chat), text(number, "the end", chat=chat))
    assert line.after(WINDOW) == ([[1, 2]] if is_one else [[1], [2]])


def test_other_chats_do_not_matter(line: Line) -> None:
    """What comes from other chats meanwhile neither joins nor parts."""
    line.comes(text(10, FULL), text(500, "hi", chat=GROUP, sender=BEN), text(11, "the end"))
    assert line.looked() == [[1, 3], [2]]


# ---- comments and forwards


def test_comment_and_forwards(line: Line) -> None:
    """A comment takes in what was forwarded with it, though it comes later."""
    line.comes(text(10, "what is this?"))
    line.comes(text(11, "one", **forward()))
    line.comes(message(message_id=12, date=DATE + 1, **photo(), **forward()))
    assert line.looked() == [[1, 2, 3]]


def test_forwards_alone(line: Line) -> None:
    """Several that were forwarded at once are one."""
    line.comes(text(10, "one", **forward()), text(11, "two", **forward()))
    assert line.looked() == [[1, 2]]


def test_forwarded_album(line: Line) -> None:
    """A comment and a forwarded album are one."""
    line.comes(text(10, "look"), album(11, **forward()))
    line.comes(album(12, **forward(), date=DATE + 5))
    assert line.after(WINDOW) == [[1, 2, 3]]


@pytest.mark.parametrize(
    "second",
    [
        text(11, "late", date=DATE + 2, **forward()),
        text(18, "far away", **forward()),
        text(11, "of somebody else", sender=BEN, **forward()),
    ],
)
def test_forward_for_itself(line: Line, second: Json) -> None:
    """A forward that was not sent with the text before it stands for itself."""
    line.comes(text(10, "hello"), second)
    assert line.goes() + line.looked() == [[1], [2]]


def test_text_after_forward(line: Line) -> None:
    """A comment comes first: a text after a forward is a new thought."""
    line.comes(text(10, FULL, **forward()), text(11, "what is this?"))
    assert line.goes() + line.looked() == [[1], [2]]


# ---- order


def test_edit_waits_with_its_chat(line: Line) -> None:
    """An edit does not overtake what its chat said before."""
    line.comes(text(10, "helo"), {"edited_message": text(10, "hello")})
    assert line.goes() == []
    assert line.looked() == [[1], [2]]


def test_press_overtakes(line: Line) -> None:
    """A button waits for nobody."""
    line.comes(album(10), {"callback_query": {"id": "1", "message": message()}})
    assert line.goes() == [[2]]


def test_given_out(line: Line) -> None:
    """What was given out takes nothing more in: the late part stands for itself."""
    line.comes(album(10))
    assert line.after(WINDOW) == [[1]]
    line.comes(album(11))
    assert line.grouping.heads([(3, {"message": album(12)})]) == {3: 2}
    assert line.after(WINDOW) == [[2]]


def test_restored(line: Line) -> None:
    """What was stored with one head is one again, at once, and takes nothing more in."""
    line.grouping.restore({5: [6, 5], 7: [7]}, line.clock.monotonic())
    line.next_id = 8
    line.comes(album(12))
    assert line.goes() == [[5, 6], [7]]


def test_head_that_is_gone(line: Line) -> None:
    """Parts whose head was dealt with before stay together."""
    batch = [(n, {"message": album(n)}) for n in (10, 11, 12)]
    heads = line.grouping.heads(batch)
    for number, update in batch[1:]:
        line.grouping.add(number, heads[number], update, line.clock.monotonic())
    assert line.after(WINDOW) == [[11, 12]]


@pytest.mark.parametrize(
    "units, between", [(4096, ""), (4095, "\n"), (3600, "\n"), (3499, "\n"), (100, "\n")]
)
def test_seam(units: int, between: str) -> None:
    """A text cut at the limit was cut in a word; one cut earlier, at a line break."""
    before = Outline(chat=1, sender=1, topic=None, message=1, date=1, is_text=True, units=units)
    assert seam(before, before) == between
    assert seam(None, before) == "\n"
