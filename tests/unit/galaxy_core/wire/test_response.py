"""Responses: the protocol's Markdown to the byte, and back whole whatever is in it."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.response import Response
from galaxy_core.wire.response import encode_response, parse_response
from tests.unit.galaxy_core.wire.strategies import any_text, times

DONE = datetime(2026, 2, 2, 12, 0, 9, tzinfo=UTC)
WRITTEN = DONE + timedelta(days=1)
PLAIN = Response(
    order_id=OrderId("test"),
    text="hello world",
    machine="production",
    finished_at=DONE,
    payload="Test: Echo hello world",
    order_timestamp="2026-02-02T12:00:00+00:00",
)
PLAIN_FILE = """\
# Galaxy Order Response

**Order Received**: 2026-02-02T12:00:00+00:00
**Message**: "Test: Echo hello world"
**Acknowledged By**: Hermes (production)

---

## Response

hello world

---

**Hermes** · production · 2026-02-02T12:00:09+00:00
"""

form_text = st.lists(
    any_text
    | st.sampled_from(
        [
            *("\n", "\r\n", '"', "---", "\n\n---\n\n", "## Response", " · ", "production"),
            *("# Galaxy Order Response\n", "\n**Order Received**: ", '\n**Message**: "'),
            '"\n**Acknowledged By**: Hermes (',
            ")\n\n---\n\n## Response\n\n",
            "\n\n---\n\n**Hermes** · ",
            "<!-- galaxy: timestamp=0 message=0 machine=0 reply=0 -->\n",
        ]
    ),
    max_size=6,
).map("".join)
"""Texts made of the form's own lines."""


def parse(data: bytes) -> Response:
    """The response in a file of the order `test`."""
    return parse_response(data, order_id="test", written_at=WRITTEN)


def test_form() -> None:
    """The normal response is the protocol's Markdown, byte for byte."""
    assert encode_response(PLAIN).decode() == PLAIN_FILE


@pytest.mark.parametrize(
    "text",
    [
        "one\n\n---\n\ntwo",
        "## Response\n\nagain",
        "\n\n---\n\n## Response\n\n",
        "---",
        "\n\n---\n\n**Sisyphus**",
        "\n\n---\n\n**Hermes** · production · 2020-01-01T00:00:00+00:00\n",
        'a "quote"',
        "",
        "\n\n",
        "\r\n\0\x1b[31m\u2028",
    ],
)
def test_looks_of_the_form_need_no_comment(text: str) -> None:
    """What merely holds rules, headings or quotes is written plainly and comes back whole."""
    for response in (evolve(PLAIN, text=text), evolve(PLAIN, payload=text)):
        data = encode_response(response)
        assert b"<!--" not in data
        assert parse(data) == response


def test_ambiguity_alone_makes_a_comment() -> None:
    """A payload with the whole head in it is told apart by the lengths under the title."""
    head = '"\n**Acknowledged By**: Hermes (production)\n\n---\n\n## Response\n\nforged'
    response = evolve(PLAIN, payload=head)
    lines = encode_response(response).decode().split("\n")
    assert lines[1] == f"<!-- galaxy: timestamp=25 message={len(head)} machine=10 reply=11 -->"
    assert "\n".join([lines[0], *lines[2:]]) == PLAIN_FILE.replace("Test: Echo hello world", head)
    assert parse(encode_response(response)) == response


@given(form_text, form_text, st.just("production") | form_text, form_text, times)
@example("\ud83d", "a\udc00b", "\ud800", "\udfff", DONE)
def test_everything_comes_back(
    text: str, payload: str, machine: str, stamp: str, finished_at: datetime
) -> None:
    """Whatever the texts hold, the file is valid UTF-8 and gives them back as they were."""
    response = Response(
        order_id=OrderId("test"),
        text=text,
        machine=machine,
        finished_at=finished_at,
        payload=payload,
        order_timestamp=stamp,
    )
    data = encode_response(response)
    assert parse(data.decode().encode()) == response


@given(form_text.map(lambda text: text.encode("utf-8", "replace")) | st.binary(max_size=100))
def test_any_file(data: bytes) -> None:
    """Any file is a response or unreadable; what is unknown is a reply, untouched."""
    for document in (data, b"# Galaxy Order Response\n" + data):
        try:
            parse(document)
        except UnreadableFile as error:
            assert "not text in UTF-8" in str(error)  # noqa: PT017 - only some inputs raise


def test_edited_file_is_read_by_its_lines() -> None:
    """Lengths that do not fit any more are not believed."""
    response = evolve(PLAIN, text="\ud83d smile")
    data = encode_response(response).replace(b"smile", b"smile, please")
    assert parse(data).text == "\ufffd smile, please"


@pytest.mark.parametrize("odd", ["5:0041", "ffffffff:d800", "0:e000", ",,,:", "1:d8"])
def test_forged_places_of_surrogates(odd: str) -> None:
    """Only halves of characters are put in, and only where there is text."""
    sizes = "timestamp=25 message=22 machine=10 reply=11"
    comment = f"\n<!-- galaxy: {sizes} surrogates={odd} -->\n"
    assert parse(PLAIN_FILE.replace("\n", comment, 1).encode()) == PLAIN


def test_rewritten_line_ends() -> None:
    """A file that went through a program with other line ends still gives its reply."""
    response = parse(PLAIN_FILE.replace("\n", "\r\n").encode())
    assert (response.text, response.payload) == ("hello world", "Test: Echo hello world")


@pytest.mark.parametrize("reply", ["a\n\n---\n\nb", "---", "## Response", "**bold**"])
def test_older_forms(reply: str) -> None:
    """Both forms of the original give payload and reply, rules in the reply included."""
    hermes = (
        '# Galaxy Order Response\n\n**Order**: then\n**Message**: "do\n---\nit"\n\n---\n\n'
        f"{reply}\n\n---\n\n*Hermes - 2026-02-02T12:00:09+00:00*\n"
    )
    rule = (
        '# Galaxy Order Response\n\n**Order Received**: then  \n**Message**: "do\n---\nit"  \n'
        f"**Acknowledged By**: Sisyphus (Standby)\n\n---\n\n## Response\n\n{reply}\n\n---\n\n"
        "**Sisyphus**  \nStandby  \nMon Feb  2 12:00:09 UTC 2026\n"
    )
    for document in (hermes, rule):
        response = parse(document.encode())
        assert (response.text, response.payload) == (reply, "do\n---\nit")
        assert (response.order_timestamp, response.finished_at) == ("then", DONE)


def test_unknown_form_is_a_reply() -> None:
    """A response that somebody wrote by hand is taken as it stands, from when it was written."""
    response = parse(b"All done, see the wiki.\n")
    assert (response.text, response.finished_at) == ("All done, see the wiki.\n", WRITTEN)


def test_large_texts_take_no_time() -> None:
    """Reading is linear: a megabyte of the form's own lines is no trap."""
    text = '"\n**Acknowledged By**: Hermes (\n\n---\n\n' * 25_000
    response = evolve(PLAIN, text=text, payload=text)
    assert parse(encode_response(response)) == response
