"""Letters: read generously, kept whole, never shown to the wrong people."""

import json
from datetime import UTC, datetime

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.letter import Button, ButtonStyle, Letter, LetterFormat, Receipt, Severity
from galaxy_core.domain.order import JSONValue
from galaxy_core.wire.letter import decode_letter, encode_letter
from tests.unit.galaxy_core.wire.strategies import any_text, objects, times, words

NOW = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)

receipts = st.builds(
    Receipt,
    channel=words,
    chat_id=words,
    message_ids=st.lists(words, max_size=2).map(tuple),
    at=times,
    part=st.integers(1, 9),
    is_last=st.booleans(),
)
buttons = st.builds(
    Button,
    text=words,
    data=words.filter(lambda data: len(data.encode(errors="replace")) <= 64),
    style=st.sampled_from(ButtonStyle),
)
letters = st.builds(
    Letter,
    name=st.just("test"),
    message=any_text,
    severity=st.sampled_from(Severity),
    sender=any_text,
    timestamp=st.none() | times,
    order_id=st.none() | words,
    chat_id=st.none() | words,
    channel=st.none() | words,
    topic=st.none() | words,
    reply_to=st.none() | words,
    order_payload=st.none() | any_text,
    format=st.sampled_from(LetterFormat),
    files=st.lists(words, max_size=2).map(tuple),
    buttons=st.lists(st.lists(buttons, min_size=1, max_size=2).map(tuple), max_size=2).map(tuple),
    is_sent=st.booleans(),
    receipts=st.lists(receipts, max_size=2).map(tuple),
)


def read(**members: JSONValue) -> Letter:
    """The letter in a file with these members."""
    return decode_letter(json.dumps(members).encode(), name="test")


@given(letters)
def test_letter_made_here(letter: Letter) -> None:
    """A letter made in the program is the same after a trip to the disk."""
    assert decode_letter(encode_letter(letter), name="test") == letter


@given(objects, receipts)
def test_letter_read(members: dict[str, JSONValue], receipt: Receipt) -> None:
    """A letter that was read keeps every member; a receipt is added, nothing else changes."""
    members = {**members, "message": "x", "chat_id": 5}
    letter = read(**members)
    assert json.loads(encode_letter(letter)) == members
    more = evolve(letter, receipts=(*letter.receipts, receipt))
    written = json.loads(encode_letter(more))
    assert {k: v for k, v in written.items() if k != "receipts"} == {
        k: v for k, v in members.items() if k != "receipts"
    }
    assert decode_letter(encode_letter(more), name="test") == more


def test_written_by_hand() -> None:
    """A message is all that a letter needs."""
    assert read(message="hi") == Letter(name="test", message="hi")
    assert read(message="hi").format is LetterFormat.HTML


@pytest.mark.parametrize(
    "wire",
    ["x", 5, [[]], [["x"]], [[{"text": "x"}]], [{"data": "x"}], [{"text": [], "data": "x"}]],
)
def test_what_is_no_button_is_left_out(wire: JSONValue) -> None:
    """A letter with a broken button is still a letter."""
    assert read(message="hi", buttons=wire) == Letter(name="test", message="hi")


def test_a_button_whose_data_is_too_long_is_left_out() -> None:
    """Cut short it would come back as something else; the limit counts bytes."""
    row: JSONValue = [{"text": "ok", "data": "é" * 32}, {"text": "no", "data": "é" * 32 + "x"}]
    assert read(message="hi", buttons=[row]).buttons == ((Button("ok", "é" * 32),),)


@pytest.mark.parametrize(
    "word, severity",
    [
        ("critical", Severity.CRITICAL),
        (" Warning ", Severity.WARNING),
        ("high", Severity.ALERT),
        ("error", Severity.ALERT),
        ("whatever", Severity.INFO),
        (7, Severity.INFO),
        ([], Severity.INFO),
        (None, Severity.INFO),
    ],
)
def test_severities(word: JSONValue, severity: Severity) -> None:
    """Unknown severities count as info; those people write for loud ones are loud."""
    chat = read(message="x", severity=word) if type(word) is not list else None
    assert chat is None or chat.severity is severity


@pytest.mark.parametrize("form, expected", [("HTML", "html"), ("rst", "plain"), (None, "html")])
def test_unknown_markup_is_plain_text(form: JSONValue, expected: str) -> None:
    """An unknown markup is shown as it stands."""
    assert read(message="x", format=form).format.value == expected


@pytest.mark.parametrize("chat_id", [[5], {"id": 5}, True])
def test_chat_that_cannot_be_understood(chat_id: JSONValue) -> None:
    """A letter for one chat never goes to everybody because its chat is written oddly."""
    with pytest.raises(UnreadableFile, match="`chat_id`"):
        read(message="x", chat_id=chat_id)


@pytest.mark.parametrize("members", [{}, {"message": None}, {"message": ["x"]}, {"text": "x"}])
def test_nothing_to_show(members: dict[str, JSONValue]) -> None:
    """Without a message there is no letter, and the sentence says what to write."""
    with pytest.raises(UnreadableFile, match="`message`"):
        read(**members)


def test_sent() -> None:
    """A letter that was sent says so, and when."""
    written = json.loads(encode_letter(read(message="x", sent=False, odd=1), sent_at=NOW))
    assert written == {
        "message": "x",
        "sent": True,
        "odd": 1,
        "sent_at": "2026-02-02T12:00:00+00:00",
    }
    assert read(**written).is_sent


def test_broken_receipts_are_no_receipts() -> None:
    """What is no proof of delivery counts as none: the part is rather sent again."""
    good: dict[str, JSONValue]
    good = {"channel": "telegram", "chat_id": 5, "message_ids": [7], "at": "2026-02-02T12:00:00Z"}
    bad: list[JSONValue] = [5, {}, {**good, "at": "then"}, {**good, "part": "one"}]
    letter = read(message="x", receipts=[good, *bad])
    assert letter.receipts == (
        Receipt(channel="telegram", chat_id="5", message_ids=("7",), at=NOW),
    )
