"""Texts and entities, cleaned and refused as the real server does it.

Lengths of texts count code points after cleaning; offsets and lengths of entities count UTF-16
units.  Removed: carriage returns, U+2028 to U+202E, three combining lines.  Control characters
become spaces.  White space at both ends is cut off, at the start only up to the first entity.
"""

from __future__ import annotations

from galaxy_core.testing.bot_api.errors import bad_request
from galaxy_core.testing.bot_api.links import refusal_of
from galaxy_core.testing.bot_api.state import Json

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
MOST_ENTITIES = 100

_PLAIN = frozenset(
    {
        *("bold", "italic", "underline", "strikethrough", "spoiler", "code"),
        *("blockquote", "expandable_blockquote"),
    }
)
_DETECTED = frozenset(
    {
        *("mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number"),
        "bank_card_number",
    }
)
"""The server finds these by itself: given by a bot they are ignored."""
_REQUIRED: dict[str, tuple[str, type]] = {
    "text_link": ("url", str),
    "text_mention": ("user", dict),
    "custom_emoji": ("custom_emoji_id", str),
    "date_time": ("unix_time", int),
}
_OPTIONAL: dict[str, tuple[str, type]] = {"pre": ("language", str)}
_REMOVED = frozenset({"\r", *map(chr, range(0x2028, 0x202F)), "\u0333", "\u033f", "\u030a"})
_CLEANING: dict[int, str | None] = {
    **{code: " " for code in range(ord(" ")) if chr(code) != "\n"},
    **dict.fromkeys(map(ord, _REMOVED)),
}
_LONGEST_OFFSET = 1_000_000


def utf16_length(text: str) -> int:
    """The length in UTF-16 units, which entities count in."""
    return len(text) + sum(1 for letter in text if letter > "\uffff")


def cut_utf16(text: str, offset: int, length: int) -> str:
    """The part of a text that an entity covers."""
    units = text.encode("utf-16-le", "surrogatepass")
    return units[offset * 2 : (offset + length) * 2].decode("utf-16-le", "surrogatepass")


def visible_text(
    text: str, entities: list[Json], longest: int, what: str
) -> tuple[str, list[Json]]:
    """The text and the entities that people get; raises `ApiError`."""
    kept = sorted(
        (_checked(entity) for entity in entities),
        key=lambda entity: (int(entity["offset"]), -int(entity["length"])),
    )
    kept = [entity for entity in kept if entity["length"] and entity["type"] not in _DETECTED]
    text, kept = _trimmed(*_cleaned(text, kept))
    if len(text) > longest:
        raise bad_request(f"{what} is too long")
    return text, kept[:MOST_ENTITIES]


def check_encoding(value: object) -> None:
    """Refuse lone surrogates wherever they are."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise bad_request("strings must be encoded in UTF-8") from None
    elif isinstance(value, dict):
        for key, inner in value.items():
            check_encoding(key)
            check_encoding(inner)
    elif isinstance(value, list):
        for inner in value:
            check_encoding(inner)


def _checked(entity: object) -> Json:
    if not isinstance(entity, dict):
        raise bad_request("can't parse MessageEntity: Expected an Object")
    for name in ("offset", "length"):
        if name not in entity:
            raise bad_request(f"can't parse MessageEntity: Can't find field \"{name}\"")
        value = entity[name]
        if isinstance(value, bool) or not isinstance(value, int):
            raise bad_request(f'can\'t parse MessageEntity: Field "{name}" must be of type Number')
        if not 0 <= value <= _LONGEST_OFFSET:
            raise bad_request(f"Receive an entity with incorrect {name} {value}")
    kind = entity.get("type")
    if kind in _REQUIRED:
        _check_member(entity, *_REQUIRED[kind], is_required=True)
    elif kind in _OPTIONAL:
        _check_member(entity, *_OPTIONAL[kind], is_required=False)
    elif kind not in _PLAIN and kind not in _DETECTED:
        raise bad_request("can't parse MessageEntity: Unsupported type specified")
    _check_values(entity)
    return dict(entity)


def _check_values(entity: Json) -> None:
    kind = entity["type"]
    if kind == "text_link" and (reason := refusal_of(entity["url"])) is not None:
        raise bad_request(f"Entity URL '{entity['url']}' is invalid: {reason}")
    if kind == "custom_emoji" and not entity["custom_emoji_id"].isdecimal():
        raise bad_request(
            'can\'t parse MessageEntity: Field "custom_emoji_id" must be a valid Number'
        )


def _check_member(entity: Json, name: str, kind: type, *, is_required: bool) -> None:
    if name not in entity:
        if is_required:
            raise bad_request(f"can't parse MessageEntity: Can't find field \"{name}\"")
        return
    if not isinstance(entity[name], kind):
        words = {str: "String", dict: "Object", int: "Number"}
        raise bad_request(
            f'can\'t parse MessageEntity: Field "{name}" must be of type {words[kind]}'
        )


def _cleaned(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    """Remove what is not allowed; offsets follow."""
    if not entities:
        return text.translate(_CLEANING), []
    moved = {0: 0}
    bytes_before = {0: 0}
    letters = []
    old = new = at_byte = 0
    for letter in text:
        width = 2 if letter > "\uffff" else 1
        at_byte += len(letter.encode())
        old += width
        if letter not in _REMOVED:
            letters.append(" " if letter < " " and letter != "\n" else letter)
            new += width
        moved[old] = new
        bytes_before[old] = at_byte
    kept = []
    for entity in entities:
        begin, end = entity["offset"], entity["offset"] + entity["length"]
        if begin >= old:
            raise bad_request(f"Entity begins after the end of the text at UTF-16 offset {begin}")
        if begin not in moved:
            where = bytes_before[begin + 1]
            raise bad_request(
                f"Entity begins in a middle of a UTF-16 symbol at byte offset {where}"
            )
        if end > old:
            raise bad_request(
                f"Entity beginning at UTF-16 offset {begin} ends after the end of the text"
                f" at UTF-16 offset {end}"
            )
        if end not in moved:
            raise bad_request(
                f"Entity beginning at UTF-16 offset {begin} ends in a middle of a UTF-16 symbol"
                f" at byte offset {bytes_before[end + 1]}"
            )
        if moved[end] > moved[begin]:
            kept.append({**entity, "offset": moved[begin], "length": moved[end] - moved[begin]})
    return "".join(letters), kept


def _trimmed(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    lead = len(text) - len(text.lstrip(" \n"))
    if entities:
        lead = min(lead, entities[0]["offset"])  # blanks are one unit each
    text = text[lead:].rstrip(" \n")
    end = utf16_length(text)
    kept = []
    for entity in entities:
        begin = entity["offset"] - lead
        length = min(begin + entity["length"], end) - begin
        if length > 0:
            kept.append({**entity, "offset": begin, "length": length})
    return text, kept
