"""Other people's words in sentences of ours: every character arrives, none marks anything up."""

from __future__ import annotations

import pytest

from galaxy_core.services.gateway.markup import bare, code, plain

WORDS = [
    "snake_case and *.py",
    "[let me in](http://evil)",
    "# not a title",
    "- no list",
    "12. no list",
    "a\nb",
    "`x` ``y``",
    "<b>&lt; || ~~",
    "\\",
    "",
]


@pytest.mark.parametrize("words", WORDS)
def test_nothing_is_left_of_marks_but_their_characters(words: str) -> None:
    """Without the escapes of `plain` the text stands there in one line, as it was."""
    assert bare(plain(words)) == " ".join(words.split())


@pytest.mark.parametrize(
    "words, shown",
    [
        ("ls", "`ls`"),
        ("echo `a`", "`` echo `a` ``"),
        ("a `b` c", "``a `b` c``"),
        ("one\ntwo", "`one ⏎ two`"),
        ("two  blanks", "`two  blanks`"),
    ],
)
def test_code_is_fenced_by_more_ticks_than_it_has(words: str, shown: str) -> None:
    """A command cannot end its own code span."""
    assert code(words) == shown
