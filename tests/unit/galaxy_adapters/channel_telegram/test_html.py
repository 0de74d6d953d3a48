"""Hand-written letters keep their form, or are shown as they stand."""

import time

import pytest

from galaxy_adapters.channel_telegram._html import from_html
from galaxy_core.testing.bot_api.texts import visible_text


@pytest.mark.parametrize(
    "html,text,entity",
    [
        ("<b>x</b>", "x", {"type": "bold"}),
        ("<strong>x</strong>", "x", {"type": "bold"}),
        ("<i>x</i>", "x", {"type": "italic"}),
        ("<em>x</em>", "x", {"type": "italic"}),
        ("<u>x</u>", "x", {"type": "underline"}),
        ("<ins>x</ins>", "x", {"type": "underline"}),
        ("<s>x</s>", "x", {"type": "strikethrough"}),
        ("<strike>x</strike>", "x", {"type": "strikethrough"}),
        ("<del>x</del>", "x", {"type": "strikethrough"}),
        ("<tg-spoiler>x</tg-spoiler>", "x", {"type": "spoiler"}),
        ('<span class="tg-spoiler">x</span>', "x", {"type": "spoiler"}),
        ("<code>x</code>", "x", {"type": "code"}),
        ("<pre>x</pre>", "x", {"type": "pre"}),
        ('<pre><code class="language-py">x</code></pre>', "x", {"type": "pre", "language": "py"}),
        ("<blockquote>x</blockquote>", "x", {"type": "blockquote"}),
        ("<blockquote expandable>x</blockquote>", "x", {"type": "expandable_blockquote"}),
        (
            '<a href="https://x.y/?a=1&amp;b">x</a>',
            "x",
            {"type": "text_link", "url": "https://x.y/?a=1&b"},
        ),
    ],
)
def test_tag_becomes_an_entity(html: str, text: str, entity: dict[str, str]) -> None:
    """Telegram's own tags mean what they mean there."""
    rich = from_html(html)
    assert rich.text == text
    assert rich.entities() == [{**entity, "offset": 0, "length": 1}]


def test_tags_may_be_nested() -> None:
    """Forms inside forms are kept; references are characters."""
    rich = from_html("<b>a <i>b</i></b> &lt;&amp;&gt; \U0001f680 <u>c</u>")
    assert rich.text == "a b <&> \U0001f680 c"
    assert [(e["type"], e["offset"], e["length"]) for e in rich.entities()] == [
        ("bold", 0, 3),
        ("italic", 2, 1),
        ("underline", 11, 1),
    ]


@pytest.mark.parametrize(
    "html",
    [
        "<b>open",
        "</i>",
        "<script>x</script>",
        "a < b & c",
        "<b><i>crossed</b></i>",
        "<b>x</b",
        "<a>x</a><b",
        "one<br/>two",
        "<p>x</p>",
        "<!-- x -->",
        "<!DOCTYPE html>",
        "<?php x ?>",
        "<![CDATA[x]]>",
        "<b style='x'>y</b>",
        "<span>x</span>",
        "Vec<T>",
        "x <",
        "<b></b>",
    ],
)
def test_anything_else_is_shown_as_it_stands(html: str) -> None:
    """Half a form may say something else: nothing is guessed, nothing is dropped."""
    rich = from_html(html)
    assert rich.text == html
    assert rich.spans == ()


def test_harmful_address_is_shown_instead() -> None:
    """A link runs nothing; its address is not hidden either."""
    rich = from_html('<a href="javascript:x">word</a>')
    assert rich.text == "word (javascript:x)"
    assert rich.entities() == []


@pytest.mark.parametrize("html", ["<b>&#0;x</b>", "<b>&#xD83D;x</b>", "<b>a\r\nb\ud83d</b>"])
def test_odd_characters_do_no_harm(html: str) -> None:
    """References may name characters that nobody can send."""
    rich = from_html(html)
    text, _ = visible_text(rich.text, list(rich.entities()), 4096, "message")
    assert text.encode()


@pytest.mark.parametrize("html", ["<b>" * 20_000, "<b>x</b>" * 10_000, "<" * 50_000, "<a " * 9_000])
def test_time_is_bounded(html: str) -> None:
    """A letter may be anything, and is read in a moment."""
    start = time.process_time()
    from_html(html)
    assert time.process_time() - start < 3
