"""A letter becomes parts that depend on nothing but the letter."""

import pytest

from galaxy_adapters.channel_telegram._letters import (
    MOST_MESSAGES,
    REPEAT,
    FilesPart,
    TextPart,
    WholePart,
    parts_of,
)
from galaxy_adapters.channel_telegram._split import EMPTY, LONGEST_TEXT
from galaxy_adapters.channel_telegram._text import units
from galaxy_core.domain.letter import Button, Letter, LetterFormat, Severity
from galaxy_core.testing.factories import make_letter

MARKDOWN = LetterFormat.MARKDOWN


def _first(letter: Letter) -> str:
    part = parts_of(letter)[0]
    assert isinstance(part, TextPart)
    return part.text.text


@pytest.mark.parametrize(
    "severity,head",
    [
        (Severity.CRITICAL, "\U0001f6a8 ops\n"),
        (Severity.ALERT, "\U0001f514 ops\n"),
        (Severity.WARNING, "\u26a0\ufe0f ops\n"),
        (Severity.SUCCESS, "\u2705 ops\n"),
        (Severity.INFO, "\u2139\ufe0f ops\n"),
    ],
)
def test_notification_says_who_writes(severity: Severity, head: str) -> None:
    """What comes unasked has a head: how loud it is, and from whom, in bold."""
    letter = make_letter(message="<b>Disk full</b>", sender="ops", severity=severity)
    (part,) = parts_of(letter)
    assert isinstance(part, TextPart)
    assert part.text.text == f"{head}Disk full"
    spans = [part.text.text[span.start : span.end] for span in part.text.spans]
    assert spans == ["ops", "Disk full"]


def test_letter_without_sender_has_a_name() -> None:
    """A head always says something."""
    assert _first(make_letter(sender="", message="x")).endswith("Galaxy\nx")


@pytest.mark.parametrize(
    "severity,shown",
    [
        (Severity.SUCCESS, "Yes."),
        (Severity.INFO, "Yes."),
        (Severity.WARNING, "\u26a0\ufe0f Yes."),
        (Severity.ALERT, "\U0001f514 Yes."),
    ],
)
def test_answer_is_shown_as_it_is(severity: Severity, shown: str) -> None:
    """Who asked reads the answer, not who gave it; that it went wrong is marked."""
    letter = make_letter(
        message="Yes.",
        sender="Hermes (x)",
        order_id="o1",
        chat_id="1",
        format=MARKDOWN,
        severity=severity,
    )
    assert _first(letter) == shown


def test_reply_of_the_gateway_has_no_head() -> None:
    """A command's answer belongs to the talk."""
    assert _first(make_letter(message="Hi", sender="", chat_id="1", format=MARKDOWN)) == "Hi"


def test_four_messages_at_most() -> None:
    """A text that fits into four messages is four messages, all of them within the limit."""
    text = "word " * (LONGEST_TEXT * 3 // 5 + 100)
    parts = parts_of(make_letter(message=text, format=LetterFormat.PLAIN))
    assert len(parts) == MOST_MESSAGES
    for part in parts:
        assert isinstance(part, TextPart)
        assert units(part.text.text) + units(REPEAT) <= LONGEST_TEXT


def test_longer_text_is_a_beginning_and_a_document() -> None:
    """Nobody reads ten messages: the whole text comes as a file, as it was written."""
    text = "**word** \ud83d " * 5_000
    first, whole = parts_of(make_letter(message=text, order_id="a/../b", format=MARKDOWN))
    assert isinstance(first, TextPart)
    assert units(first.text.text) + units(REPEAT) <= LONGEST_TEXT
    assert "file below" in first.text.text
    assert isinstance(whole, WholePart)
    assert whole.name == "a-..-b.md"
    assert whole.content.decode() == text.replace("\ud83d", "\ufffd")


def test_empty_letter_says_so() -> None:
    """Even nothing is delivered."""
    assert EMPTY in _first(make_letter(message=" \n"))


def test_files_without_words_are_files_only() -> None:
    """No empty message stands above a picture."""
    assert parts_of(make_letter(message="", files=("a.txt",))) == (FilesPart(("a.txt",)),)


def test_neighbours_of_a_kind_are_an_album() -> None:
    """Photos go with photos, documents with documents, at most ten, in the letter's order."""
    names = ("a.png", "B.JPG", "c.txt", "d.webp", *(f"{n}.csv" for n in range(12)))
    parts = parts_of(make_letter(message="x", files=names))[1:]
    assert parts == (
        FilesPart(("a.png", "B.JPG"), are_photos=True),
        FilesPart(("c.txt",)),
        FilesPart(("d.webp",), are_photos=True),
        FilesPart(tuple(f"{n}.csv" for n in range(10))),
        FilesPart(("10.csv", "11.csv")),
    )


def test_buttons_have_a_message_to_stand_below() -> None:
    """An album has no buttons: with some, the last file comes by itself."""
    buttons = ((Button("Yes", "y"),),)
    parts = parts_of(make_letter(message="x", files=("a.txt", "b.txt", "c.txt"), buttons=buttons))
    assert parts[1:] == (FilesPart(("a.txt", "b.txt")), FilesPart(("c.txt",)))
