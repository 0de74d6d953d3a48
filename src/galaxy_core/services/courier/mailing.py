"""A letter on its way: to everybody who gets it, and to one of them."""

from __future__ import annotations

from collections.abc import Iterable

import anyio
from attrs import define, evolve, field, frozen

from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address
from galaxy_core.services.courier.config import Mailbox
from galaxy_core.services.courier.pacing import Chat, chat_of


@frozen
class Verdict:
    """Why a letter cannot be delivered to a chat."""

    reason: str
    is_about_chat: bool = False
    """Whether no letter at all reaches that chat."""


@define(eq=False)
class Mailing:
    """One letter on its way to everybody who gets it."""

    mailbox: Mailbox
    letter: Letter
    """With the receipts written so far."""
    _in_hand: set[str]
    """Names of all letters of the mailbox that are in hand."""
    name: str = field(init=False)
    """What the outbox called it when it was read."""
    names: set[str] = field(init=False)
    """All that it was called while it was in hand: the outbox may have to rename it."""
    waiting: set[Chat] = field(factory=set, init=False)
    """Chats that neither have it nor were given up."""
    lost: dict[Chat, Verdict] = field(factory=dict, init=False)
    is_repeat: bool = field(default=False, init=False)
    """Whether a part was sent that may have been delivered before."""
    is_found_delivered: bool = field(default=False, init=False)
    """Whether it had all its receipts, or only those of chats that were given up were missing, when
    it was read: a crash came before the last steps."""
    is_recorded: bool = field(default=False, init=False)
    """Whether the trail says that it was delivered."""
    lock: anyio.Lock = field(factory=anyio.Lock, init=False)
    """Held while a receipt is added: parcels of one letter travel side by side."""

    def __attrs_post_init__(self) -> None:
        self.name = self.letter.name
        self.names = set()
        self.remember_name()

    def remember_name(self) -> None:
        """Keep the letter in hand under the name that the outbox gave it."""
        self.names.add(self.letter.name)
        self._in_hand.add(self.letter.name)

    def let_go(self) -> None:
        """It has left the outbox: other letters may have its names."""
        self._in_hand -= self.names

    @property
    def is_for_all(self) -> bool:
        """Whether it goes to every authorised person."""
        return self.letter.chat_id is None

    @property
    def is_delivered(self) -> bool:
        """Whether somebody has all of it."""
        return any(receipt.is_last for receipt in self.letter.receipts)

    @property
    def has_one_chat(self) -> bool:
        """Whether all its receipts are of one chat."""
        return len({(receipt.channel, receipt.chat_id) for receipt in self.letter.receipts}) == 1

    def has(self, chat: Chat) -> bool:
        """Whether that chat has all of it."""
        return any(receipt.is_last for receipt in self._receipts(chat))

    def next_part(self, chat: Chat) -> int:
        """The first part that the chat does not have."""
        return max((receipt.part for receipt in self._receipts(chat)), default=0) + 1

    def for_channel(self) -> Letter:
        """The letter as a channel gets it: with absolute paths, which mean the same anywhere."""
        root = self.mailbox.root
        return evolve(self.letter, files=tuple(str(root / path) for path in self.letter.files))

    def _receipts(self, chat: Chat) -> Iterable[Receipt]:
        return (r for r in self.letter.receipts if (r.channel, r.chat_id) == chat)


@define(eq=False)
class Parcel:
    """One letter on its way to one chat, part by part."""

    mailing: Mailing
    address: Address
    key: str
    """Of its intent."""
    due: float = 0.0
    """When it may be tried next, on the monotonic clock."""
    gives_way: bool = False
    """Whether others may go first meanwhile: it waits for its last try, or is stuck, and nobody
    waits so long for the sake of the order."""
    attempts: int = field(default=0, init=False)
    """Passing failures in a row."""
    failing_since: float | None = field(default=None, init=False)
    """When the channel failed first, on the monotonic clock; None: not since it was last sent."""
    is_stuck: bool = field(default=False, init=False)
    """Whether the channel has failed for so long that the fault may be the letter's own."""
    is_overtaken: bool = field(default=False, init=False)
    """Whether something else reached the chat since it failed last."""
    times_overtaken: int = field(default=0, init=False)
    """How often it failed again after something else had reached the chat."""
    receipt: Receipt | None = field(default=None, init=False)
    """Proof that the outbox does not have yet."""
    verdict: Verdict | None = field(default=None, init=False)
    """Set when it was given up, until that is on record."""

    def count_as_sent(self) -> None:
        """What failed before means nothing any more."""
        self.attempts = self.times_overtaken = 0
        self.failing_since = None
        self.gives_way = self.is_stuck = self.is_overtaken = False

    @property
    def chat(self) -> Chat:
        """Where it goes."""
        return chat_of(self.address)

    @property
    def letter(self) -> Letter:
        """The letter, with the receipts written so far."""
        return self.mailing.letter
