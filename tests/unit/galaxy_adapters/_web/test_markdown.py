"""Markdown becomes HTML in which nothing runs."""

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxy_adapters._web import plain_html, render_now
from galaxy_adapters._web.markdown import code_styles

TAGS = {
    "p", "br", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code",
    "em", "strong", "s", "a", "img", "table", "thead", "tbody", "tr", "th", "td", "hr", "span",
    "div",
}  # fmt: skip
ATTRIBUTES = {
    "a": {"href", "title", "rel", "target"},
    "img": {"src", "alt", "title", "loading"},
    "ol": {"start"},
    "pre": {"class", "data-language", "tabindex"},
    "code": {"class"},
    "span": {"class"},
    "div": {"class"},
    "p": {"class"},
    "th": {"class"},
    "td": {"class"},
}


_AWAY = re.compile(r"(https?://|mailto:|tg://)", re.IGNORECASE)


class Inspector(HTMLParser):
    """Looks at every tag as a browser would."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what may not be there."""
        if tag not in TAGS:
            self.faults.append(tag)
        for name, value in attrs:
            if name not in ATTRIBUTES.get(tag, set()):
                self.faults.append(f"{tag} {name}")
            if name == "href" and not re.match(
                r"(https?://|mailto:|tg://)", value or "", re.IGNORECASE
            ):
                self.faults.append(f"href {value}")
            if name == "src" and not re.match(r"/(?![/\\])", value or ""):
                self.faults.append(f"src {value}")


def faults(html: str) -> list[str]:
    """What must not stand in it."""
    inspector = Inspector()
    inspector.feed(html)
    inspector.close()
    return inspector.faults


ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt:alert(1))",
    "[a](java\tscript:alert(1))",
    "[a](&#106;avascript:alert(1))",
    "[a](data:text/html,x)",
    "[a](vbscript:x)",
    "[a](//evil.example)",
    "[a](/logout)",
    "[a](https://x.example 'title\" onclick=\"x')",
    '[a](https://x.example/"onmouseover="alert(1))',
    "<javascript:alert(1)>",
    "![a](javascript:alert(1))",
    "![a](https://evil.example/pixel.png)",
    "![a](//evil.example/pixel.png)",
    "![a](/\\evil.example/pixel.png)",
    '![a" onerror="x](/chat/files/1)',
    "![a](/chat/files/1)",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "```py onclick=x\nx\n```",
    "    <script>alert(1)</script>",
    "`<script>`",
    "| <b> |\n|---|\n| <script> |",
    "[a]: javascript:x\n\n[a]",
    "https://x.example/<script>",
    'https://x.example/"onclick="x',
    "<!-- --><![CDATA[<script>]]><?php ?>",
    "&lt;script&gt; &#60;script&#62;",
    "[![a](/x)](javascript:x)",
    "\x00<script>\ud800",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_nothing_runs(text: str) -> None:
    """No tag of the text's own, no script in an address, no picture from elsewhere."""
    assert faults(render_now(text)) == []


@given(
    st.lists(st.sampled_from([*ATTACKS, "\n", "\n\n", "> ", "- ", "[", "](", ")", "*", "`", "x"]))
)
def test_nothing_runs_in_any_mixture(pieces: list[str]) -> None:
    """Broken pieces beside each other do not add up to something that runs."""
    assert faults(render_now("".join(pieces))) == []


@pytest.mark.parametrize(
    "text,expected",
    [
        ("**a** *b* ~~c~~ `d`", "<strong>a</strong> <em>b</em> <s>c</s> <code>d</code>"),
        ("# A", "<h1>A</h1>"),
        ("- a\n- b", "<li>b</li>"),
        ("|a|b|\n|-|-|\n|c|d|", "<td>c</td>"),
        ("a\nb", "a<br>\nb"),
        ("see https://x.example/a_b(c), or", '<a href="https://x.example/a_b(c" rel='),
        ("[x](https://y.example)", 'rel="noopener noreferrer nofollow" target="_blank">x</a>'),
        ("[x](mailto:a@b.example)", 'href="mailto:a@b.example"'),
        ("[x](tg://user?id=1)", 'href="tg://user?id=1"'),
        ("![x](https://y.example/z.png)", "x (https://y.example/z.png)"),
        ("![x](/chat/files/1)", '<img src="/chat/files/1" alt="x"'),
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ("```python\nx = 1\n```", '<span class="c-mi">1</span>'),
        ("```nonsense\nx < 1\n```", "x &lt; 1"),
    ],
)
def test_what_people_see(text: str, expected: str) -> None:
    """The Markdown that agents write."""
    assert expected in render_now(text).replace("<br />", "<br>")


HARD = {
    "brackets": "[" * 100_000,
    "pictures": "![[" * 50_000,
    "emphasis": "*a_" * 80_000,
    "paragraphs": ("[" * 2_900 + "\n\n") * 100,
    "ticks": "".join("`" * n + " " for n in range(1, 600)),
    "quotes": "> " * 100_000,
    "items": "- " * 100_000,
    "spaces": " " * 280_000,
    "lines": "\n" * 280_000,
    "addresses": "https://x.example/!!!!! " * 12_000,
    "code": "```ts\n" + "a." * 29_000 + "\n```",
    "comments": "```js\n" + "/*\n" * 19_000 + "\n```",
    "blocks": ("```make\n" + "(" * 900 + "\n```\n") * 100,
    "blanks": "```c\n" + "\n" * 20_000 + "\n```",
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD.keys())
def test_no_text_takes_long(text: str) -> None:
    """What is made to cost time costs seconds at most: it is shown plainly then."""
    begun = time.thread_time()
    html = render_now(text)
    assert time.thread_time() - begun < 15
    assert html or not text.strip()


def test_plain_text_is_shown_as_it_is() -> None:
    """Nothing of it is markup; what cannot be encoded is replaced."""
    assert plain_html("<b>\x00\ud800*") == '<p class="plain">&lt;b&gt;\ufffd?*</p>\n'


def test_code_has_colours_for_both_themes() -> None:
    """By the system's choice, and by the page's."""
    styles = code_styles()
    assert ".code .c-k " in styles
    assert "prefers-color-scheme: dark" in styles
    assert ':root[data-theme="dark"] .code .c-k ' in styles
    assert styles.count("{") == styles.count("}")
