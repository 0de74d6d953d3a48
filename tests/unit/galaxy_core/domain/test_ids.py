"""Names of orders and conversations, which become parts of file names."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxy_core.domain.ids import (
    MAX_ID_BYTES,
    numbered,
    safe_order_id,
    why_not_an_order_id,
)
from galaxy_core.testing.factories import make_order

anything = st.text(st.characters(exclude_categories=()), max_size=300)
nasty = st.text(st.sampled_from("./\\\0\n \u2028aä\ud800-"), max_size=40)


@given(text=anything | nasty)
def test_accepted_id_stays_in_its_folder(text: str) -> None:
    """An id that is accepted is one visible file name, short enough, and survives a round trip."""
    if why_not_an_order_id(text) is not None:
        return
    name = f"galaxy-order-response-{text}.md"
    path = PurePosixPath("/folder") / name
    assert path.parent == PurePosixPath("/folder")
    assert path.name == name
    assert len(name.encode()) <= 255
    assert not text.startswith(".")
    assert text.isprintable()


@given(text=anything | nasty)
def test_any_text_can_be_made_an_id(text: str) -> None:
    """A made id is acceptable, always the same, and the text itself where that is one."""
    made = safe_order_id(text)
    assert why_not_an_order_id(made) is None
    assert safe_order_id(text) == made
    assert (made == text) == (why_not_an_order_id(text) is None)


@given(one=nasty, two=nasty)
def test_different_texts_make_different_ids(one: str, two: str) -> None:
    """Cleaning an id does not make two orders one."""
    if one != two:
        assert safe_order_id(one) != safe_order_id(two)


@given(
    text=st.text(st.characters(categories=("L", "N")), min_size=1, max_size=180),
    number=st.integers(2, 10**6),
)
def test_numbered_id_is_an_id(text: str, number: int) -> None:
    """A repeated id stays within the limit whatever its number, and differs from the first."""
    made_id = safe_order_id(text)
    made = numbered(made_id, number)
    assert why_not_an_order_id(made) is None
    assert made.endswith(f"-{number}")
    assert len(made.encode()) <= MAX_ID_BYTES
    assert made != numbered(made_id, number + 1)


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "../a", "a/b", "a\\b", "a\0b", "a\nb", "\u2028", " a", "a ", ".a", "ä" * 91],
)
def test_bad_ids_are_named(text: str) -> None:
    """Each reason is a sentence for the person who chose the id."""
    reason = why_not_an_order_id(text)
    assert reason
    assert reason.startswith("it ")


@pytest.mark.parametrize("text", ["a", "order 1", "Ordnung-ä", "1", "a.b", "-x", "ä" * 90])
def test_good_ids_are_accepted(text: str) -> None:
    """People's own names are fine."""
    assert why_not_an_order_id(text) is None


@pytest.mark.parametrize(
    "fields,expected",
    [
        ({"session": "talk", "chat_id": "1"}, "talk"),
        ({"session": None, "chat_id": "1", "channel": "telegram"}, "telegram:1"),
        ({"session": None, "chat_id": "1"}, "chat:1"),
        ({"session": None, "chat_id": "1", "channel": "web", "topic": "9"}, "web:1:9"),
        ({"session": None}, "machine:prod"),
        ({"session": "", "topic": "9"}, "machine:prod"),
    ],
)
def test_conversation_key(fields: dict[str, str | None], expected: str) -> None:
    """The session, else channel, chat and topic, else the machine's own conversation."""
    assert make_order(**fields).conversation("prod") == expected


@pytest.mark.parametrize(
    "target,is_ours", [(None, True), ("", True), ("PROD", True), ("Prod", True), ("other", False)]
)
def test_target_is_compared_without_case(target: str | None, is_ours: bool) -> None:  # noqa: FBT001
    """People spell machines as they like; no target is everybody's."""
    assert make_order(target=target).is_for(frozenset({"prod"})) is is_ours
