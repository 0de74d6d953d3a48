"""Going through the trail forwards, line by line, with constant memory.

Two readers need it: the check of the whole chain, and a writer that finds bytes behind the place
where it last stopped.  A line *continues* the chain when its number is the next one, its `prev`
is the digest of the line before and its own digest fits its bytes.  Whatever else stands in the
file is *suspect*: a torn line after a crash, a line of the original system, or a forgery.

Suspects are cleared by a **seal**: an event `audit_torn_line` or `audit_foreign_lines`, itself in
the chain, in which a writer says after which line it found how many bytes with which digest.
What is not sealed, and has chained lines behind it, is a fault.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

from attrs import Factory, define

from galaxy_adapters.audit_jsonl._line import Head, Link, read_link, read_members

TORN_LINE = "audit_torn_line"
FOREIGN_LINES = "audit_foreign_lines"

MAX_FAULTS = 1_000
"""Faults that are named one by one; of more, only the number is told."""
_GIVE_UP_AFTER = 10_000
"""Chained lines behind a suspect after which no seal is expected any more.  A writer seals what
it finds at once, so between suspect and seal there is one write of its own at most."""
_CHANGED = "the line was changed: its digest does not fit its content"


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


def _sha256() -> _Hash:
    return hashlib.sha256()


@define
class Faults:
    """A list of sentences that cannot grow without end."""

    named: list[str] = Factory(list)
    count: int = 0

    def add(self, sentence: str) -> None:
        self.count += 1
        if self.count <= MAX_FAULTS:
            self.named.append(sentence)

    def add_all(self, others: Faults) -> None:
        self.named.extend(others.named[: MAX_FAULTS - len(self.named)])
        self.count += others.count

    def sentences(self) -> tuple[str, ...]:
        left_out = self.count - len(self.named)
        return (*self.named, *([f"and {left_out} more faults"] if left_out else []))


@define
class Suspects:
    """Bytes since the last line that was beyond doubt."""

    base: Head | None
    """That line; None when the walk had seen none before."""
    place: str
    digest: _Hash = Factory(_sha256)
    size: int = 0
    lines: int = 0
    foreign: int = 0
    """Lines that are JSON but no part of a chain, as the original system writes them."""
    torn: int = 0
    """Lines that are no JSON at all."""
    chained: int = 0
    """Chained lines among them: regular ones that came before the seal, and misplaced ones."""
    has_zeros: bool = False
    """Whether a torn line holds NUL bytes, which only a power cut leaves."""
    faults: Faults = Factory(Faults)

    @property
    def are_leftovers(self) -> bool:
        """Whether nothing but torn and foreign lines was found: no sign of tampering."""
        return self.faults.count == self.foreign + self.torn

    def is_cleared_by(self, line: bytes, link: Link, head: Head | None) -> bool:
        """Whether the line is a seal for exactly these bytes, and in its right place."""
        continues = [known for known in (head, self.base) if known and link.continues(known)]
        if not (continues or self.base is None) or not link.is_true:
            return False
        members = read_members(line) or {}
        return (
            members.get("event_type") in (TORN_LINE, FOREIGN_LINES)
            and members.get("after") == (self.base.sequence if self.base else link.sequence - 1)
            and members.get("bytes") == self.size
            and members.get("sha256") == self.digest.hexdigest()
        )


@define
class Walk:
    """State of one pass.  Feed it every line, in order, then look at what it holds."""

    head: Head | None
    """The newest line of the chain; None: unknown yet, the first chained line is believed."""
    file: str = ""
    line_number: int = 0
    lines: int = 0
    """Chained lines."""
    unchained: int = 0
    faults: Faults = Factory(Faults)
    notes: Faults = Factory(Faults)
    suspects: Suspects | None = None
    _true_digest: str = ""
    """What the newest line's digest ought to be: the next one may continue that instead."""
    _refused: Head | None = None
    """A chained line that did not fit; when the next one continues it, the chain goes on there."""
    _unreadable: int = 0
    """Torn lines directly before: they may be the numbers that are missing."""

    def begin_file(self, name: str) -> None:
        """Say where the lines that follow stand."""
        self.file, self.line_number = name, 0

    @property
    def place(self) -> str:
        """The line that was fed last, for people."""
        return f"{self.file}:{self.line_number}"

    def feed(self, line: bytes) -> None:
        """Take the next line, with its line break (which only the very last one may lack)."""
        self.line_number += 1
        link = read_link(line[:-1] if line.endswith(b"\n") else line)
        if link is None:
            self._take_stray(line)
        elif self.suspects is None and self._is_regular(link):
            self._accept(link)
        else:
            self._take_chained(line, link)

    def close(self) -> None:
        """There are no more lines: what nobody sealed is judged now."""
        suspects = self.suspects
        if suspects is None:
            return
        if suspects.are_leftovers and suspects.chained == 0:
            # Nobody has written since: the next writer seals them.
            self.unchained += suspects.foreign
            if suspects.torn:
                self.notes.add(f"{suspects.place}: a line was cut short, by a crash perhaps")
            self.suspects = None
        else:
            self._condemn(suspects)

    # ---- lines without a place in the chain

    def _take_stray(self, line: bytes) -> None:
        suspects = self._suspect(line, self.head)
        if read_members(line) is not None:
            suspects.foreign += 1
            suspects.faults.add(f"{self.place}: a line without a place in the chain, inserted?")
            return
        suspects.torn += 1
        suspects.has_zeros = suspects.has_zeros or b"\0" in line
        suspects.faults.add(f"{self.place}: not a line of the trail, changed or cut short?")
        self._unreadable += 1

    # ---- lines with one

    def _take_chained(self, line: bytes, link: Link) -> None:
        if self.suspects and self.suspects.is_cleared_by(line, link, self.head):
            self._clear(self.suspects, link)
            return
        head_before = self.head
        fault = self._judge(link)
        if fault is None and self.suspects is None:
            return
        suspects = self._suspect(line, head_before)
        suspects.chained += 1
        if fault:
            suspects.faults.add(f"{self.place}: {fault}")
        if suspects.chained >= _GIVE_UP_AFTER:
            self._condemn(suspects)

    def _judge(self, link: Link) -> str | None:
        """What is wrong with the line, None when nothing is; the chain goes on behind it or not."""
        if self.head is None or (self._refused and link.continues(self._refused)):
            self._accept(link)
            return None if link.is_true else _CHANGED
        expected = self.head.sequence + 1
        is_linked = link.previous in (self.head.digest, self._true_digest)
        if not link.is_true:
            # Whatever else does not fit was changed together with the content.
            if link.sequence == expected or is_linked:
                self._accept(link, sequence=expected)
            else:
                self._refused = Head(link.sequence, link.digest)
            return _CHANGED
        if link.sequence < expected:
            self._refused = Head(link.sequence, link.digest)
            return (
                f"number {link.sequence} stands after number {self.head.sequence}:"
                " moved, copied or inserted"
            )
        missing = link.sequence - expected
        # A line that cannot be read has been named already.
        is_explained = 0 < missing <= self._unreadable
        self._accept(link)
        if missing and not is_explained:
            return f"{_numbers(expected, missing)} missing or moved before this line"
        if not missing and not is_linked:
            return f"number {link.sequence} does not continue the line before: one was replaced"
        return None

    def _is_regular(self, link: Link) -> bool:
        return self.head is not None and link.is_true and link.continues(self.head)

    def _accept(self, link: Link, *, sequence: int | None = None) -> None:
        self.head = Head(sequence or link.sequence, link.digest)
        self._true_digest = link.true_digest
        self._refused = None
        self._unreadable = 0
        self.lines += 1

    # ---- suspects

    def _suspect(self, line: bytes, head_before: Head | None) -> Suspects:
        if self.suspects is None:
            self.suspects = Suspects(head_before, self.place)
        self.suspects.digest.update(line)
        self.suspects.size += len(line)
        self.suspects.lines += 1
        return self.suspects

    def _clear(self, suspects: Suspects, seal: Link) -> None:
        self.unchained += suspects.foreign
        if suspects.torn:
            self.notes.add(
                f"{suspects.place}: {suspects.size} bytes were left by a crash;"
                f" sealed by number {seal.sequence}"
            )
        self.suspects = None
        self._accept(seal)

    def _condemn(self, suspects: Suspects) -> None:
        self.unchained += suspects.foreign
        self.faults.add_all(suspects.faults)
        self.suspects = None


def _numbers(first: int, count: int) -> str:
    return f"number {first} is" if count == 1 else f"numbers {first} to {first + count - 1} are"
