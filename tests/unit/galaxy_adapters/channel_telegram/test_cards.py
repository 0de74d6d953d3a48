"""What a status message says."""

from datetime import UTC, datetime, timedelta

import pytest

from galaxy_adapters.channel_telegram._cards import card_text
from galaxy_adapters.channel_telegram._split import LONGEST_TEXT
from galaxy_adapters.channel_telegram._text import units
from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.response import Usage
from galaxy_core.domain.run import PermissionRequested, Todo
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.status import Notice
from galaxy_core.testing.factories import make_status


def _progress(**values: object) -> Progress:
    return Progress(order_id=OrderId("o"), **values)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", OrderState)
def test_every_state_has_words(state: OrderState) -> None:
    """Each state looks different."""
    text = card_text(make_status(state=state, elapsed=None)).text
    others = {card_text(make_status(state=other, elapsed=None)).text for other in OrderState}
    assert text in others
    assert len(others) == len(OrderState)


def test_waiting_order_says_where_it_stands() -> None:
    """Who waits sees for what."""
    status = make_status(
        state=OrderState.PENDING,
        place=3,
        waits_until=datetime(2026, 2, 2, 14, 30, tzinfo=UTC),
        elapsed=None,
        machine="anvil",
    )
    assert card_text(status).text == (
        "\u23f3 Waiting \u00b7 place 3 in line \u00b7 begins 02 Feb 14:30 UTC \u00b7 anvil"
    )


@pytest.mark.parametrize(
    "elapsed,words",
    [(5.9, "5 s"), (65, "1 min 05 s"), (3_599, "59 min 59 s"), (7_260, "2 h 01 min")],
)
def test_time_is_short(elapsed: float, words: str) -> None:
    """As exact as somebody wants to know."""
    status = make_status(elapsed=timedelta(seconds=elapsed))
    assert f" \u00b7 {words} \u00b7 " in card_text(status).text


def test_running_order_shows_its_work() -> None:
    """Tool, list, tokens and the newest note, in this order."""
    progress = _progress(
        tool="bash: make\n test",
        todos=(
            Todo(content="look", status="completed"),
            Todo(content="do", status="in_progress"),
            Todo(content="say", status="pending"),
            Todo(content="no", status="cancelled"),
        ),
        usage=Usage(input_tokens=12_000, output_tokens=400),
        note="one\ntwo\nthree\nfour",
    )
    text = card_text(make_status(progress=progress, machine="anvil"))
    assert text.text == (
        "\u2699\ufe0f Working \u00b7 5 s \u00b7 anvil \u00b7 12k tokens\n"
        "\U0001f527 bash: make test\n\n"
        "\u2611 look\n\u25b6\ufe0f do\n\u2610 say\n\u2612 no\n\n"
        "two\nthree\nfour"
    )
    forms = [(span.kind, text.text[span.start : span.end]) for span in text.spans]
    assert forms == [("bold", "Working"), ("code", "bash: make test"), ("strikethrough", "no")]


def test_question_comes_before_the_tool() -> None:
    """Nothing happens until the person answers: that is what the card says."""
    asked = PermissionRequested(request_id=RequestId("r"), permission="bash")
    text = card_text(make_status(progress=_progress(tool="bash", waiting_for=(asked,)))).text
    assert "Waits for your answer" in text
    assert "bash" not in text


@pytest.mark.parametrize("text", ["x" * 20_000, "\U0001f680" * 9_000, "*_`<b>", "\ud83d", "\u202e"])
def test_card_always_fits(text: str) -> None:
    """Whatever agents call their tools, it is one message that the server takes."""
    todos = tuple(Todo(content=text, status="pending") for _ in range(50))
    progress = _progress(tool=text, todos=todos, note="\n".join([text] * 9))
    for card in (make_status(progress=progress, machine=text), Notice(text=text)):
        shown = card_text(card)
        assert 0 < units(shown.text) <= LONGEST_TEXT
        shown.text.encode()


def test_notice_is_markdown() -> None:
    """A question keeps its form."""
    shown = card_text(Notice(text="**Sure?** `rm`"))
    assert shown.text == "Sure? rm"
    assert [span.kind for span in shown.spans] == ["bold", "code"]


def test_empty_notice_is_not_refused() -> None:
    """The server takes no empty message."""
    assert card_text(Notice(text=" ")).text
