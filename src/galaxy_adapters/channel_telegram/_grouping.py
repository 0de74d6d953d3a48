"""Puts together what a person sent as one thing and Telegram delivers as several updates.

* an album: one `media_group_id`;
* a long paste: the client cut it near 4,096 characters;
* a comment and the messages that were forwarded with it, or several forwarded at once.

What an update belongs to is decided before it is stored, and stored with it: the id of the first
update of its group, its head.  So a restart neither takes groups apart nor joins what had been
given out apart; and a group from before the restart takes nothing more in, as it may have been
given out.

Waiting: an album and a full-length text wait for a window after their newest part.  Any other
text waits for one look only (a call that asks whether anything is there already), because a
comment comes before what it comments on.  Everything else waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from attrs import define, field, frozen

from galaxy_adapters.channel_telegram._json import Object, an_object, number, text

WINDOW = timedelta(milliseconds=1200)
"""After the newest part of an album or a full-length text."""
LOOK = timedelta(milliseconds=150)
"""The longest that a text waits for the look."""

LONGEST_TEXT = 4096
_NEAR_FULL = 3500
"""From here on a text may go on in the next message.  In UTF-16 units.  Telegram Desktop cuts at
the last line break or blank before 4,096, Android at 4,096 itself."""
_PASTE_SECONDS = 2
"""Dates are whole seconds: 1.5 s between two parts may show as 2."""
_FORWARD_SECONDS = 1
_FIRST_SUPERGROUP = -1_000_000_000_000
_LARGEST_GAP = 5
"""Private chats and small groups number their messages from one counter for all of the bot's
chats: what others write meanwhile, and what the bot sends, leaves gaps."""


@frozen(kw_only=True)
class Outline:
    """What of an update matters here."""

    chat: int
    sender: int | None
    topic: int | None
    message: int
    date: int
    album: str | None = None
    is_forward: bool = False
    is_text: bool = False
    """Written text, with no file."""
    units: int = 0
    """Length of the text in UTF-16 units."""

    @property
    def is_near_full(self) -> bool:
        """Whether its text may go on in the next message."""
        return self.is_text and not self.is_forward and self.units >= _NEAR_FULL


def outline(update: Object) -> Outline | None:
    """The outline of a new message; None for everything that is never part of a group."""
    message = an_object(update.get("message"))
    chat = number(an_object(message.get("chat")).get("id"))
    own, date = number(message.get("message_id")), number(message.get("date"))
    if chat is None or own is None or date is None:
        return None
    written = text(message.get("text"))
    sender = an_object(message.get("sender_chat")) or an_object(message.get("from"))
    return Outline(
        chat=chat,
        sender=number(sender.get("id")),
        topic=number(message.get("message_thread_id")),
        message=own,
        date=date,
        album=text(message.get("media_group_id")) or None,
        is_forward=is_forward(message),
        is_text=bool(written),
        units=utf16_units(written),
    )


def is_forward(message: Object) -> bool:
    """Whether somebody passes on what was said elsewhere."""
    return "forward_origin" in message or "forward_date" in message


def utf16_units(value: str) -> int:
    """Length as Telegram's clients count."""
    return len(value.encode("utf-16-le", "surrogatepass")) // 2


def belongs(before: Outline, after: Outline) -> bool:
    """Whether `after` was sent as one thing with `before`, the part right before it."""
    if (before.chat, before.sender, before.topic) != (after.chat, after.sender, after.topic):
        return False
    if before.album is not None and before.album == after.album:
        return True
    most = 1 if after.chat <= _FIRST_SUPERGROUP else _LARGEST_GAP
    if not before.message < after.message <= before.message + most:
        return False
    pause = after.date - before.date
    if after.is_forward:
        comes_first = before.is_forward or before.is_text
        return comes_first and 0 <= pause <= _FORWARD_SECONDS
    return before.is_near_full and after.is_text and 0 <= pause <= _PASTE_SECONDS


def seam(before: Outline | None, after: Outline | None) -> str:
    """What stood between two texts of a group before the client cut them apart."""
    if before is None or after is None or not before.is_near_full or after.is_forward:
        return "\n"
    # Cut at the limit itself: in the middle of a word.  Cut earlier: at a line break, most likely.
    return "" if before.units == LONGEST_TEXT else "\n"


@define(eq=False)
class Group:
    """Updates that are one message; or one update of any other kind."""

    head: int
    """Id of its first update."""
    members: list[int]
    last: Outline | None
    """Outline of its newest member; None if nothing can join."""
    due_at: float
    """On the monotonic clock: when it need wait no more."""
    waits_for_look: bool


@define(eq=False)
class Grouping:
    """Groups that have not been given out, in order of their heads."""

    _waiting: dict[int, Group] = field(factory=dict, init=False)
    _newest: dict[int, Group] = field(factory=dict, init=False)
    """By chat: the group that may still grow."""

    @property
    def wants_look(self) -> bool:
        """Whether something would be given out if nothing more lay at Telegram."""
        return any(group.waits_for_look for group in self._waiting.values())

    @property
    def next_due(self) -> float | None:
        """When the next group need wait no more."""
        return min((group.due_at for group in self._waiting.values()), default=None)

    def is_waiting(self, head: int) -> bool:
        """Whether that group has not been given out."""
        return head in self._waiting

    def heads(self, updates: Iterable[tuple[int, Object]]) -> Mapping[int, int]:
        """To which group each new update would belong, by update id; changes nothing."""
        newest = {
            chat: (group.head, group.last)
            for chat, group in self._newest.items()
            if group.last is not None
        }
        found: dict[int, int] = {}
        for update_id, update in updates:
            found[update_id] = update_id
            part = outline(update)
            if part is None:
                continue
            head, last = newest.get(part.chat, (update_id, None))
            if last is not None and belongs(last, part):
                found[update_id] = head
            newest[part.chat] = (found[update_id], part)
        return found

    def add(self, update_id: int, head: int, update: Object, now: float) -> None:
        """Take a stored update in, in order of ids; `head` is what `heads` said."""
        part = outline(update)
        group = self._waiting.get(head)
        if group is None:
            # The head itself may be missing: it came again, and had been confirmed before.
            group = self._waiting[head] = Group(head, [update_id], part, now, waits_for_look=False)
        else:
            group.members.append(update_id)
            group.last = part
        if part is None:
            self._line_up(group, update)
            return
        before = self._newest.get(part.chat)
        if before is not None and before is not group:
            before.due_at, before.waits_for_look = now, False
        self._newest[part.chat] = group
        has_window = part.album is not None or part.is_near_full
        group.waits_for_look = not has_window and (part.is_text or part.is_forward)
        pause = WINDOW if has_window else LOOK if group.waits_for_look else timedelta(0)
        group.due_at = now + pause.total_seconds()

    def _line_up(self, group: Group, update: Object) -> None:
        """Let an edit wait with what its chat said before."""
        edited = an_object(update.get("edited_message"))
        chat = number(an_object(edited.get("chat")).get("id"))
        before = None if chat is None else self._newest.get(chat)
        if before is not None:
            group.due_at, group.waits_for_look = before.due_at, before.waits_for_look

    def restore(self, members: Mapping[int, Sequence[int]], now: float) -> None:
        """Take in what was stored before a restart: members by head.  Nothing joins these."""
        for head in sorted(members):
            self._waiting[head] = Group(
                head, sorted(members[head]), None, now, waits_for_look=False
            )

    def looked(self, now: float) -> None:
        """Telegram had nothing more."""
        for group in self._waiting.values():
            if group.waits_for_look:
                group.due_at, group.waits_for_look = now, False

    def take(self, now: float) -> list[Group]:
        """Give out the groups that need wait no more, oldest first; they grow no more."""
        due = sorted((g for g in self._waiting.values() if g.due_at <= now), key=lambda g: g.head)
        for group in due:
            del self._waiting[group.head]
            if group.last is not None and self._newest.get(group.last.chat) is group:
                del self._newest[group.last.chat]
        return due
