"""Long texts are cut where a reader pauses."""

import pytest

from galaxy_adapters.channel_telegram._markdown import from_markdown
from galaxy_adapters.channel_telegram._split import (
    EMPTY,
    LONGEST_TEXT,
    cut_to,
    end_of,
    split,
)
from galaxy_adapters.channel_telegram._text import RichText, plain, units

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


def _kinds(piece: RichText) -> list[tuple[str, str | None]]:
    return [(span.kind, span.value) for span in piece.spans]


def test_exactly_the_limit_is_one_message() -> None:
    """The limit counts UTF-16 units."""
    assert len(split(plain("x" * LONGEST_TEXT))) == 1
    assert len(split(plain("x" * LONGEST_TEXT + "y"))) == 2
    assert len(split(plain("\U0001f680" * (LONGEST_TEXT // 2)))) == 1
    assert len(split(plain("\U0001f680" * (LONGEST_TEXT // 2) + "y"))) == 2


@pytest.mark.parametrize("between", ["\n\n", "\n", ". ", " "])
def test_cut_is_at_the_best_place(between: str) -> None:
    """Paragraph before line before sentence before word."""
    weaker = {"\n\n": "a\nb. c d", "\n": "a. b c d", ". ": "a b c d", " ": "abcd"}[between]
    text = between.join([weaker] * 2_000)
    first, *_, last = split(plain(text))
    assert first.text.endswith(weaker[-1] if between != ". " else "d.")
    assert last.text.startswith(weaker[0])
    pieces = split(plain(text))
    assert "".join("".join(p.text for p in pieces).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "sign", [FAMILY, "\U0001f1e9\U0001f1ea", "e\u0301", "\U0001f44d\U0001f3fd"]
)
def test_one_sign_is_never_cut(sign: str) -> None:
    """What a person sees as one sign does not become two."""
    for piece in split(plain(sign * 3_000)):
        assert piece.text == sign * (len(piece.text) // len(sign))


def test_code_that_fits_is_kept_whole() -> None:
    """A block of code moves to the next message rather than being cut."""
    code = "line of code\n" * 150
    pieces = split(from_markdown(f"{'words ' * 500}\n\n```py\n{code}```\n\nafter"))
    (whole,) = [p for p in pieces if any(span.kind == "pre" for span in p.spans)]
    assert code.rstrip() in whole.text


def test_code_that_does_not_fit_is_cut_between_lines() -> None:
    """Every piece is code in the same language, and an indent at its beginning stays."""
    lines = [f"    line {number} of the code" for number in range(400)]
    pieces = split(from_markdown("```python\n" + "\n".join(lines) + "\n```"))
    assert len(pieces) > 2
    assert [_kinds(piece) for piece in pieces] == [[("pre", "python")]] * len(pieces)
    assert [line for piece in pieces for line in piece.text.split("\n")] == lines


def test_bold_goes_on_in_the_next_message() -> None:
    """A form that spans a cut holds on both sides of it."""
    pieces = split(from_markdown("**" + "word " * 2_000 + "end**"))
    assert [_kinds(piece) for piece in pieces] == [[("bold", None)]] * len(pieces)


@pytest.mark.parametrize("text", ["", "  \n ", "\u200b", "\ufeff\u2060"])
def test_nothing_is_said_to_be_nothing(text: str) -> None:
    """The server refuses a text without anything to see."""
    assert [piece.text for piece in split(plain(text))] == [EMPTY]


def test_entities_beyond_the_limit_are_the_least_important() -> None:
    """Code blocks and addresses come first: without them something would be lost."""
    styles = " ".join(f"**b{number}**" for number in range(150))
    rich = from_markdown(f"{styles}\n\n[l](https://x.y)\n\n```py\ncode\n```")
    kinds = [str(entity["type"]) for entity in rich.entities()]
    assert len(kinds) == 100
    assert kinds.count("pre") == kinds.count("text_link") == 1


@pytest.mark.parametrize("text", ["short", "word " * 3_000, "\U0001f680" * 3_000, "x" * 9_000])
def test_both_ends_fit(text: str) -> None:
    """A draft shows its end, a caption its beginning; both say that something is missing."""
    for cut, mark in ((cut_to, text[:4]), (end_of, text.strip()[-4:])):
        piece = cut(plain(text), 1_000)
        assert units(piece.text) <= 1_000
        assert mark in piece.text
        assert ("\u2026" in piece.text) == (text != "short")
