"""Markdown becomes text that Telegram takes, and a person finds everything in it."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time

import pytest

from galaxy_adapters.channel_telegram._markdown import from_markdown
from galaxy_adapters.channel_telegram._split import LONGEST_TEXT, split
from galaxy_adapters.channel_telegram._text import RichText, units
from galaxy_core.testing.bot_api.links import refusal_of
from galaxy_core.testing.bot_api.texts import utf16_length, visible_text
from tests.unit.galaxy_adapters.channel_telegram.documents import make_document

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"

TORTURE = {
    "nested-lists": "".join(f"{'  ' * (n % 9)}- item {n}\n" for n in range(200)),
    "deep-list": "".join(f"{'  ' * n}- item {n}\n" for n in range(60)),
    "deep-quote": "".join(f"{'>' * n} quote {n}\n" for n in range(1, 60)),
    "table": "| a | b |\n|---|:-:|\n| `x` | **y** |\n| 1 \\| 2 | |\n",
    "wide-table": "| a long title | another one |\n|--|--|\n" + "| words here | more words |\n" * 9,
    "fence-9k": "Look:\n\n```python\n" + "    print('hello world')\n" * 400 + "```\nDone.",
    "fence-one-line": "```\n" + "x" * 9_000 + "\n```",
    "fence-open": "```js\nlet a = 1;\n\n# no heading",
    "families": FAMILY * 1_000,
    "flags": "\U0001f1e9\U0001f1ea" * 2_500,
    "combining": "a" + "\u0301" * 5_000,
    "unbalanced": "**bold *both** it* `code ``more` ~~gone [link](http://a ![x](",
    "html": "<b>x</b> <!-- c --> Vec<T> a<b>c <script>alert(1)</script>\n\n<div>\n*no*\n</div>",
    "latex": "\\(x^2\\) \\[\\frac{a}{b}\\] $\\alpha$ $$\\sum_i x_i$$ costs $5 or $6",
    "bidi": "\u202eright \u2067to\u2069 left\u202c \u05d0\u05d1\u05d2 \u200f(x)\u200e",
    "surrogates": "a \ud83d b \udc80 c \ud83d\ude80 d",
    "controls": "".join(map(chr, range(32))) + "\x7f\x85\u2028\u2029\ufeff end",
    "word-10k": "x" * 10_000,
    "word-10k-emoji": "\U0001f680" * 10_000,
    "bolds": " ".join(f"**b{n}**" for n in range(400)),
    "codes": " ".join(f"`c{n}`" for n in range(400)),
    "links": " ".join(f"[l{n}](https://example.org/{n})" for n in range(400)),
    "bold-code": "**" + " ".join(f"a `c{n}`" for n in range(300)) + "**",
    "link-code": "[a `b` **c `d`**](https://example.org)",
    "rings": "a\u030a A\u030a x\u030a " * 300,
    "blank": " \n\t\n ",
    "empty": "",
    "invisible": "\u200b\u2060\ufeff",
    "only-marks": "```\n```",
    "rule": "---",
    "definitions": "[a]: b\n[a]: c\n[x]: http://y\n\n[use][x] [^1]\n\n[^1]: note\n\n[^2]: other",
    "crossing": "*a **b* c** ~~d *e~~ f* [g **h](http://i) j**",
    "entities": "&amp; &lt;b&gt; &nosuch; &#0; &#xD83D; &#x1F680;",
    "line-ends": "a\r\nb\rc\u2028d\u2029e\n\n\n\n\nf",
    "setext": "Title\n===\nmore\n---\n",
}

PATHOLOGICAL = {
    "stars": "*" * 20_000,
    "links": "[a](" * 5_000,
    "brackets": "[" * 20_000,
    "pictures": "![" * 10_000,
    "emphasis": "*a **b " * 5_000,
    "ticks": "".join("`" * n + "a" for n in range(200)),
    "quotes": ">" * 5_000,
    "html": "<a " * 10_000,
    "definitions": "[a]: b\n" * 5_000,
    "columns": "|a" * 1_500 + "\n" + "|-" * 1_500 + "\n" + "|b" * 1_500,
    "blank-lines": "\n" * 50_000 + "x",
}


def _marked(rich: RichText, kind: str) -> list[str]:
    return [rich.text[span.start : span.end] for span in rich.spans if span.kind == kind]


def _sent(markdown: str) -> list[str]:
    """What people read; fails as the server would."""
    read = []
    for piece in split(from_markdown(markdown)):
        assert 0 < units(piece.text) == utf16_length(piece.text) <= LONGEST_TEXT
        entities = piece.entities()
        assert len(entities) <= 100
        text, kept = visible_text(piece.text, list(entities), LONGEST_TEXT, "message")
        assert text
        assert len(kept) <= len(entities)  # those over nothing but what is removed go too
        _assert_nested(kept)
        read.append(text)
    return read


def _assert_nested(entities: list[dict[str, object]]) -> None:
    """Entities lie side by side or within each other, and nothing but quotes is around code."""
    open_ends: list[tuple[int, str]] = []
    for entity in entities:
        start, kind = int(str(entity["offset"])), str(entity["type"])
        end = start + int(str(entity["length"]))
        while open_ends and open_ends[-1][0] <= start:
            open_ends.pop()
        if open_ends:
            assert end <= open_ends[-1][0]
            assert open_ends[-1][1] not in {"code", "pre"}
        if kind in {"code", "pre"}:
            assert all(outer == "blockquote" for _, outer in open_ends)
        open_ends.append((end, kind))


@pytest.mark.parametrize("markdown", TORTURE.values(), ids=TORTURE.keys())
def test_torture_is_sent(markdown: str) -> None:
    """Whatever an agent writes becomes messages that the server takes."""
    assert _sent(markdown)


@pytest.mark.parametrize(
    "name", ["nested-lists", "fence-9k", "word-10k", "bolds", "html", "definitions", "latex"]
)
def test_torture_loses_no_word(name: str) -> None:
    """Letters and digits of the source are there, in their order."""
    source = re.findall(
        r"\w", re.sub(r"\]\(http\S*|```python|\[(?:a|x)\]: (?:b|http\S*)\n", "", TORTURE[name])
    )
    shown = iter("".join(_sent(TORTURE[name])))
    assert [letter for letter in source if letter not in shown] == []


@pytest.mark.parametrize("seed", range(0, 3_000, 100))
def test_documents_lose_nothing(seed: int) -> None:
    """Of 3,000 documents every word is shown, in the order in which it was written."""
    for number in range(seed, seed + 100):
        markdown, document = make_document(number)
        shown = re.findall(r"w\d+[äxß漢я]z", "\n".join(_sent(markdown)))
        assert set(document.words) <= set(shown), number
        if document.is_ordered:  # a table's head is repeated in every row
            assert list(dict.fromkeys(shown)) == document.words, number


@pytest.mark.parametrize("seed", range(4))
def test_noise_is_sent(seed: int) -> None:
    """Not even what is no document at all makes a message that the server refuses."""
    chance = random.Random(seed)
    marks = "*_`~[]()<>|#>-+=!\\\"'&;:/. \n\t\x00\ud83d\u200d\u0301\u202e\U0001f680ab1"
    for _ in range(500):
        assert _sent("".join(chance.choices(marks, k=chance.randint(1, 120))))


@pytest.mark.parametrize("markdown", PATHOLOGICAL.values(), ids=PATHOLOGICAL.keys())
def test_time_is_linear(markdown: str) -> None:
    """Four times as much takes no more than some eight times as long: nobody can stop us."""
    assert _seconds(markdown * 4) < 8 * _seconds(markdown) + 0.5


def _seconds(markdown: str) -> float:
    best = 60.0
    for _ in range(2):
        start = time.process_time()
        split(from_markdown(markdown), at_most=5)
        best = min(best, time.process_time() - start)
    return best


def test_same_text_same_parts_in_every_process() -> None:
    """A delivery goes on after a restart where it stopped: hash seeds change nothing."""
    code = (
        "import sys\n"
        "from galaxy_adapters.channel_telegram._markdown import from_markdown\n"
        "from galaxy_adapters.channel_telegram._split import split\n"
        "from tests.unit.galaxy_adapters.channel_telegram.documents import make_document\n"
        "for seed in range(25):\n"
        "    for piece in split(from_markdown(make_document(seed)[0])):\n"
        "        print(ascii(piece.text), piece.entities())\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert len(printed.pop()) > 10_000


# ---- what things look like


@pytest.mark.parametrize(
    "markdown,text",
    [
        ("Vec<T> a || b || c", "Vec<T> a || b || c"),
        ("a <b>bold</b> <your-token>", "a <b>bold</b> <your-token>"),
        ("$HOME/$USER and \\(x\\)", "$HOME/$USER and (x)"),
        ("about ~5 or ~6~", "about ~5 or ~6~"),
        ("[INFO]: started", "[INFO]: started"),
        (
            "- [x] done\n- [ ] open\n  - deep",
            "\u2022 \u2611 done\n\u2022 \u2610 open\n  \u25e6 deep",
        ),
        ("3. c\n3. d", "3. c\n4. d"),
        ("# Title\ntext", "Title\ntext"),
        ("a\n\n\n\nb\nc", "a\n\nb\nc"),
        ("x  \ny\\\nz", "x\ny\nz"),
        ("[docs](docs/a.md) [b.py](b.py)", "docs (docs/a.md) b.py"),
        ("[x](javascript:alert(1))", "x (javascript:alert(1))"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", "a | b\n--+--\n1 | 2"),
        ("| a |\n|---|\n| 1 | lost? |\n", "a\n--+------\n1 | lost?"),
    ],
)
def test_text_is_shown(markdown: str, text: str) -> None:
    """What CommonMark would take away is kept, its marks become what they mean."""
    (piece,) = split(from_markdown(markdown))
    assert piece.text == text


def test_forms_become_entities() -> None:
    """Bold is bold, code is code in its language, a link leads somewhere."""
    rich = from_markdown("**b** *i* ~~s~~ `c` [l](https://x.y)\n\n```py\n  p\n```\n\n> q\n> > r")
    assert _marked(rich, "bold") == ["b"]
    assert _marked(rich, "italic") == ["i"]
    assert _marked(rich, "strikethrough") == ["s"]
    assert _marked(rich, "code") == ["c"]
    assert _marked(rich, "pre") == ["  p"]
    assert _marked(rich, "blockquote") == ["q\n\nr"] or _marked(rich, "blockquote") == ["q\nr"]
    assert [e["url"] for e in rich.entities() if e["type"] == "text_link"] == ["https://x.y"]
    assert [e["language"] for e in rich.entities() if e["type"] == "pre"] == ["py"]


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "JAVASCRIPT:x",
        "http:x",
        "http://localhost:3000",
        "mailto:a@b.cc",
        "http://a@b.cc",
        "http://a.b:0",
        "http://a.b:99999",
        "https://",
        "a.b",
        "http://a.b/ c",
    ],
)
def test_only_harmless_addresses_become_links(address: str) -> None:
    """Nothing runs because a person touched a word; the address stays readable."""
    rich = from_markdown(f"[word](<{address}>)")
    assert _marked(rich, "text_link") == []
    assert address in rich.text


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org",
        "http://a.b:8080/c?d=e#f(g)",
        "HTTPS://EXAMPLE.ORG/\u00e4",
        "https://\u00e4\u00f6.example/x",
        "https://1.2.3.4/",
        "tg://user?id=1",
    ],
)
def test_links_that_telegram_takes(address: str) -> None:
    """An ordinary address stands behind its words, and the server agrees."""
    assert refusal_of(address) is None
    rich = from_markdown(f"[word](<{address}>)")
    assert _marked(rich, "text_link") == ["word"]
    assert rich.text == "word"


def test_wide_table_is_a_record_for_each_row() -> None:
    """A phone shows some 36 columns: wider tables are turned into lines with the column's name."""
    rich = from_markdown(
        "| Name of the file | What is wrong with it |\n|---|---|\n"
        "| `a.py` | two **long** lines |\n| b.py | |\n"
    )
    assert rich.text == (
        "Name of the file: a.py\nWhat is wrong with it: two long lines\n\n"
        "Name of the file: b.py\nWhat is wrong with it: \u2013"
    )
    assert "pre" not in {span.kind for span in rich.spans}
    assert _marked(rich, "code") == ["a.py"]


def test_failure_of_the_parser_costs_form_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the parser runs into, the answer is shown, as it was written."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("pyromark.events_with_range", fail)
    assert from_markdown("**a** \ud83d").text == "**a** \ufffd"
