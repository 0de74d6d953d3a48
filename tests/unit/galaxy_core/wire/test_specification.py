"""The specification names what the code reads and writes, and nothing else."""

import json
import re

import pytest

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Response
from galaxy_core.wire import letter, order
from galaxy_core.wire.ending import ENDING_KEYS
from galaxy_core.wire.letter import decode_letter
from galaxy_core.wire.order import decode_order
from galaxy_core.wire.response import encode_response
from tests.golden.cases import RECEIVED
from tests.support import PROJECT_ROOT

TEXT = (PROJECT_ROOT / "docs" / "specification.md").read_text("utf-8")
GLOSSARY = (PROJECT_ROOT / "docs" / "glossary.md").read_text("utf-8")


def section(title: str) -> str:
    """The text under a heading."""
    return re.split(r"\n##+ ", TEXT.partition(f" {title}\n")[2])[0]


def members(title: str) -> set[str]:
    """The names in the first column of the section's table."""
    rows = re.findall(r"^\| (`[^|]+) \|", section(title), flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_members_of_an_order() -> None:
    """Every member that is read stands in the table, and every one in the table is read."""
    older = {"sender_id", "message_thread_id", "scheduled_for"}
    assert members("2. Orders") == {*order._MEMBERS, *older, "type", "markers", "acknowledged"}


def test_members_of_an_ended_order() -> None:
    """What the archive adds is all in the table."""
    assert members("2.4 Ended orders") == {*ENDING_KEYS, "source_file", "as_written"}


def test_members_of_a_letter() -> None:
    """What is read of a letter is all in the table."""
    assert members("4. Letters") == {*letter._MEMBERS, "type", "sent_at"}


def test_examples() -> None:
    """The example order and letter are accepted as they stand."""
    (example,) = re.findall(r"```json\n(.*?)```", section("2. Orders"), flags=re.DOTALL)
    assert not decode_order(example.encode(), name="x", received_at=RECEIVED).refusals
    (example,) = re.findall(r"```json\n(.*?)```", section("4. Letters"), flags=re.DOTALL)
    assert decode_letter(example.encode(), name="x").message == "The backup is done."
    (example,) = re.findall(r"```json\n(.*?)```", section("5. Sessions"), flags=re.DOTALL)
    assert json.loads(example)["conversations"]


def test_form_of_a_response() -> None:
    """The form in the text is the one that is written."""
    (form,) = re.findall(r"```\n(# Galaxy.*?)```", TEXT, flags=re.DOTALL)
    time = "2026-02-02T18:00:00+00:00"
    response = Response(
        order_id=OrderId("x"),
        text="<reply>",
        machine="<machine>",
        finished_at=RECEIVED,
        payload="<payload>",
        order_timestamp="<timestamp>",
    )
    assert encode_response(response).decode() == form.replace("<finished_at>", time)


@pytest.mark.parametrize("page", [TEXT, GLOSSARY])
def test_links(page: str) -> None:
    """No link between the pages leads nowhere."""
    for target in re.findall(r"\]\(([^)#:]+)", page):
        assert (PROJECT_ROOT / "docs" / target).exists(), target
