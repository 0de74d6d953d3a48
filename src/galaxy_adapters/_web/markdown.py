"""Markdown as safe HTML.

No HTML of the text's own runs: it is shown as text.  Links lead to the web, to mail and to
Telegram, pictures come from here.  Long texts are rendered in a thread; what would take the
renderer too long (its time grows with the square of some things) is shown as it was written.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from html import escape
from typing import Any, Final

from anyio import to_thread
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from pygments import format as pygments_format
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

__all__ = ["code_styles", "plain_html", "render", "render_now"]

_INLINE_CHARACTERS = 4_000
"""Up to this length it takes less time than a thread."""
_LONGEST = 300_000
"""Longer texts than any person reads; they are shown as they are."""
_LONGEST_CODE, _LONGEST_LINE = 60_000, 1_000
_MOST_BLANKS = 60
_CODE_SECONDS = 0.5
"""Of a processor, for the colours of all code in one text."""
_budget = threading.local()
_MOST_SPECIALS = 2_000
"""In one paragraph: more is no text that anybody wrote by hand."""
_SPECIALS = re.compile(r"[\[\]*_`<!~&\\|>]")
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_SCHEMES: Final = ("http://", "https://", "mailto:", "tg://")
_BARE = re.compile(r"https?://[^\s<>\"'`]+[^\s<>\"'`.,;:!?)\]}*_]")
_REL = "noopener noreferrer nofollow"
_CODE: Final = HtmlFormatter(nowrap=True, classprefix="c-")
_LIGHT, _DARK = "xcode", "github-dark"


async def render(text: str) -> str:
    """HTML of a text; off the event loop when it takes long."""
    if len(text) <= _INLINE_CHARACTERS:
        return render_now(text)
    return await to_thread.run_sync(render_now, text)


@lru_cache(maxsize=256)
def _rendered(text: str) -> str:
    if _is_hard(text):
        return plain_html(text)
    _budget.seconds = _CODE_SECONDS
    try:
        return str(_parser().render(text))
    except (RecursionError, ValueError, IndexError, KeyError):
        # Nothing is dropped because of an odd text.
        return plain_html(text)


def render_now(text: str) -> str:
    """HTML of a text, here and now."""
    text = text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return _rendered(text)


def plain_html(text: str) -> str:
    """A text as it was written."""
    text = text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f'<p class="plain">{escape(text)}</p>\n'


def _is_hard(text: str) -> bool:
    if len(text) > _LONGEST:
        return True
    return any(len(_SPECIALS.findall(part)) > _MOST_SPECIALS for part in _PARAGRAPH.split(text))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "highlight": _highlighted})
    parser.enable(["table", "strikethrough"])
    parser.validateLink = _may_link  # type: ignore[method-assign]
    parser.core.ruler.push("galaxy_links", _tame)
    parser.add_render_rule("fence", _fence)
    parser.add_render_rule("code_block", _fence)
    parser.add_render_rule("table_open", lambda *_: '<div class="table"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _may_link(url: str) -> bool:
    return url.strip().casefold().startswith(_SCHEMES) or _is_own(url)


def _is_own(url: str) -> bool:
    return url.startswith("/") and not url.startswith(("//", "/\\"))


def _tame(state: StateCore) -> None:
    """See to it that links and pictures are what they may be."""
    for token in state.tokens:
        if token.type == "inline" and token.children:
            token.children = _tamed(token.children)
        elif token.type in {"th_open", "td_open"}:
            # The page's rules allow no styles in tags.
            align = str(token.attrs.pop("style", "")).removeprefix("text-align:")
            if align:
                token.attrSet("class", f"to-{align}")


def _tamed(tokens: list[Token]) -> list[Token]:
    kept: list[Token] = []
    depth, dropped = 0, 0
    for token in tokens:
        if token.type == "link_open":
            depth += 1
            href = str(token.attrGet("href") or "")
            if not href.casefold().startswith(_SCHEMES):
                dropped = depth
                continue
            _send_away(token, href)
        elif token.type == "link_close":
            depth -= 1
            if dropped == depth + 1:
                dropped = 0
                continue
        elif token.type == "image":
            token = _picture(token)  # noqa: PLW2901 - it may become text
        elif token.type == "text" and depth == 0:
            kept += _linked(token)
            continue
        kept.append(token)
    return kept


def _send_away(token: Token, href: str) -> None:
    token.attrSet("rel", _REL)
    if href.casefold().startswith("http"):
        token.attrSet("target", "_blank")


def _picture(token: Token) -> Token:
    """A picture of ours, or the words that stand for one of somebody else's."""
    source = str(token.attrGet("src") or "")
    if _is_own(source):
        token.attrSet("loading", "lazy")
        return token
    words = Token("text", "", 0)
    words.content = f"{token.content} ({source})" if token.content else source
    return words


def _linked(token: Token) -> list[Token]:
    """A text with the addresses in it as links."""
    pieces: list[Token] = []
    at = 0
    for found in _BARE.finditer(token.content):
        pieces.append(_text(token.content[at : found.start()]))
        opened, closed = Token("link_open", "a", 1), Token("link_close", "a", -1)
        opened.attrSet("href", found.group())
        _send_away(opened, found.group())
        pieces += [opened, _text(found.group()), closed]
        at = found.end()
    if not pieces:
        return [token]
    return [*pieces, _text(token.content[at:])]


def _text(content: str) -> Token:
    token = Token("text", "", 0)
    token.content = content
    return token


def _fence(_: Any, tokens: list[Token], index: int, *_rest: Any) -> str:  # noqa: ANN401 - the renderer's
    token = tokens[index]
    language = token.info.strip().split()[0] if token.info.strip() else ""
    label = escape(language[:40])
    code = _highlighted(token.content, language)
    return f'<pre class="code" data-language="{label}" tabindex="0"><code>{code}</code></pre>\n'


def _highlighted(code: str, language: str, *_: Any) -> str:  # noqa: ANN401 - the renderer's
    lexer = _lexer(language[:40].casefold()) if language and not _is_odd(code) else None
    if lexer is None:
        return escape(code, quote=False)
    try:
        return str(pygments_format(_in_time(lexer.get_tokens(code)), _CODE))
    except TimeoutError:
        return escape(code, quote=False)


def _is_odd(code: str) -> bool:
    """Whether lexers may take too long at one step: their time grows with the square of these."""
    if len(code) > _LONGEST_CODE:
        return True
    blanks = 0
    for line in code.splitlines():
        blanks = 0 if line.strip() else blanks + 1
        if len(line) > _LONGEST_LINE or blanks > _MOST_BLANKS:
            return True
    return False


def _in_time(tokens: Iterable[Any]) -> Iterator[Any]:
    begun = time.thread_time()
    left: float = getattr(_budget, "seconds", _CODE_SECONDS)
    try:
        for token in tokens:
            if time.thread_time() - begun > left:
                raise TimeoutError
            yield token
    finally:
        _budget.seconds = left - (time.thread_time() - begun)


@lru_cache(maxsize=64)
def _lexer(language: str) -> Any:  # noqa: ANN401 - Pygments has no annotations
    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


@cache
def code_styles() -> str:
    """CSS for code, light and dark: by the system's choice, or by `data-theme` of the page."""
    light, dark = (_style_rules(name) for name in (_LIGHT, _DARK))
    explicit = ':root[data-theme="dark"] '
    system = ':root:not([data-theme="light"]) '
    return "\n".join(
        [
            *light,
            "@media (prefers-color-scheme: dark) {",
            *(system + rule for rule in dark),
            "}",
            *(explicit + rule for rule in dark),
            "",
        ]
    )


def _style_rules(style: str) -> list[str]:
    formatter = HtmlFormatter(style=style, classprefix="c-")
    rules = formatter.get_style_defs(".code").splitlines()
    return [
        rule.partition("/*")[0].strip()
        for rule in rules
        if rule.startswith(".code .c-") and "{" in rule
    ]
