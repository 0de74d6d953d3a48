"""Parse modes: enough of HTML, MarkdownV2 and the old Markdown to refuse what is broken.

Offsets in refusals are in bytes, as the real ones.
"""

from __future__ import annotations

import html
import re

from attrs import Factory, define

from galaxy_core.testing.bot_api.errors import ApiError, bad_request
from galaxy_core.testing.bot_api.links import refusal_of
from galaxy_core.testing.bot_api.state import Json
from galaxy_core.testing.bot_api.texts import utf16_length

_TAGS = {
    **dict.fromkeys(("b", "strong"), "bold"),
    **dict.fromkeys(("i", "em"), "italic"),
    **dict.fromkeys(("u", "ins"), "underline"),
    **dict.fromkeys(("s", "strike", "del"), "strikethrough"),
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
_TOKEN = re.compile(r"<(/?)([^\s<>/]*)([^<>]*)>|<")
_ATTRIBUTE = re.compile(r"""([a-zA-Z-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_RESERVED = frozenset("_*[]()~`>#+-=|{}.!")
_MARKS = {
    "*": "bold",
    "_": "italic",
    "__": "underline",
    "~": "strikethrough",
    "||": "spoiler",
    "`": "code",
    "```": "pre",
}
_NAMES = {
    "bold": "Bold",
    "italic": "Italic",
    "underline": "Underline",
    "code": "Code",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "pre": "PreCode",
}


def parsed(text: str, mode: str) -> tuple[str, list[Json]]:
    """The text without its marks, and the entities; raises `ApiError`."""
    match mode.lower():
        case "html":
            return _html(text)
        case "markdownv2":
            return _markdown(text, is_old=False)
        case "markdown":
            return _markdown(text, is_old=True)
        case _:
            raise bad_request("unsupported parse_mode")


def _broken(what: str) -> ApiError:
    return bad_request(f"can't parse entities: {what}")


@define
class _Output:
    text: str = ""
    entities: list[Json] = Factory(list)

    @property
    def length(self) -> int:
        return utf16_length(self.text)

    def close(self, begin: int, kind: str, extra: Json) -> None:
        # Unlike in entities a link that cannot be used is left out without a word.
        is_useless = "url" in extra and refusal_of(extra["url"]) is not None
        if self.length > begin and not is_useless:
            entity = {"type": kind, "offset": begin, "length": self.length - begin, **extra}
            self.entities.append(entity)


def _html(text: str) -> tuple[str, list[Json]]:
    output, at = _Output(), 0
    opened: list[tuple[str, int, Json]] = []
    for token in _TOKEN.finditer(text):
        output.text += html.unescape(text[at : token.start()])
        at = token.end()
        where = len(text[: token.start()].encode())
        if token.group(2) is None:
            raise _broken(f"Unclosed start tag at byte offset {where}")
        name = token.group(2).lower()
        if not token.group(1):
            if name not in _TAGS:
                raise _broken(f'Unsupported start tag "{name}" at byte offset {where}')
            opened.append((name, output.length, _extra(name, token.group(3))))
        elif not opened:
            raise _broken(f"Unexpected end tag at byte offset {where}")
        else:
            expected, begin, extra = opened.pop()
            if name != expected:
                raise _broken(
                    f"Unmatched end tag at byte offset {where}, "
                    f'expected "</{expected}>", found "</{name}>"'
                )
            output.close(begin, _TAGS[name], extra)
    if opened:
        raise _broken(f'Can\'t find end tag corresponding to start tag "{opened[-1][0]}"')
    output.text += html.unescape(text[at:])
    return output.text, output.entities


def _extra(name: str, attributes: str) -> Json:
    found = {
        match.group(1).lower(): match.group(2) or match.group(3) or match.group(4) or ""
        for match in _ATTRIBUTE.finditer(attributes)
    }
    match name:
        case "a":
            return {"url": html.unescape(found.get("href", ""))}
        case "tg-emoji":
            return {"custom_emoji_id": found.get("emoji-id", "")}
        case "code" if found.get("class", "").startswith("language-"):
            return {"language": found["class"].removeprefix("language-")}
        case _:
            return {}


def _markdown(text: str, *, is_old: bool) -> tuple[str, list[Json]]:
    output, at = _Output(), 0
    opened: list[tuple[str, int, int]] = []
    marks = ("```", "`", "*", "_") if is_old else ("```", "__", "||", "`", "*", "_", "~")
    while at < len(text):
        inside = opened[-1][0] if opened else ""
        is_code = inside in {"`", "```"}
        mark = next((mark for mark in marks if text.startswith(mark, at)), "")
        if text[at] == "\\" and at + 1 < len(text):
            output.text += text[at + 1]
            at += 2
        elif mark and (mark == inside or not (is_code or (is_old and inside))):
            at += len(mark)
            if mark == inside:
                _, begin, _ = opened.pop()
                output.close(begin, _MARKS[mark], {})
            else:
                opened.append((mark, output.length, at - len(mark)))
        elif text[at] == "[" and not is_code:
            at = _link(text, at, output, is_old=is_old)
        elif not (is_code or is_old) and text[at] in _RESERVED and not _is_quote(text, at):
            raise _broken(
                f"Character '{text[at]}' is reserved and must be escaped with the preceding '\\'"
            )
        else:
            output.text += text[at]
            at += 1
    if opened:
        mark, _, start = opened[-1]
        where = len(text[:start].encode())
        kind = "the entity starting" if is_old else f"{_NAMES[_MARKS[mark]]} entity"
        raise _broken(f"Can't find end of {kind} at byte offset {where}")
    return output.text, output.entities


def _is_quote(text: str, at: int) -> bool:
    return text[at] == ">" and (at == 0 or text[at - 1] == "\n")


def _link(text: str, at: int, output: _Output, *, is_old: bool) -> int:
    found = re.compile(r"\[((?:\\.|[^\]\\])*)\]\(((?:\\.|[^)\\])*)\)").match(text, at)
    if found is None:
        if is_old:
            output.text += "["
            return at + 1
        where = len(text[:at].encode())
        raise _broken(f"Can't find end of a URL at byte offset {where}")
    begin = output.length
    output.text += re.sub(r"\\(.)", r"\1", found.group(1))
    output.close(begin, "text_link", {"url": re.sub(r"\\(.)", r"\1", found.group(2))})
    return found.end()
