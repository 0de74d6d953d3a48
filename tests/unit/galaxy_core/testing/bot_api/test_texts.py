"""Texts and entities are counted, cleaned and refused as Telegram does it."""

from typing import Any

import pytest

from galaxy_core.testing.bot_api import Person
from tests.unit.galaxy_core.testing.bot_api.caller import Caller


def bold(offset: int, length: int) -> dict[str, Any]:
    """An entity."""
    return {"type": "bold", "offset": offset, "length": length}


@pytest.mark.parametrize(
    "text,refusal",
    [
        ("", "message text is empty"),
        (" \n ", "text must be non-empty"),
        ("\r", "text must be non-empty"),
        ("x" * 4097, "message is too long"),
        ("🙂" * 4097, "message is too long"),
    ],
)
async def test_texts_that_are_refused(call: Caller, ann: Person, text: str, refusal: str) -> None:
    """From one to 4096 characters, after cleaning."""
    assert await call.refusal("sendMessage", chat_id=ann.id, text=text) == refusal


async def test_characters_count_not_units(call: Caller, ann: Person) -> None:
    """4096 emoji are 8192 UTF-16 units and pass; blanks at the ends do not count."""
    await call.result("sendMessage", chat_id=ann.id, text="🙂" * 4096)
    await call.result("sendMessage", chat_id=ann.id, text="x" * 4096 + "\n\n")
    assert [len(text) for text in call.server.texts(ann)] == [4096, 4096]


async def test_captions_are_shorter(call: Caller, ann: Person) -> None:
    """1024 characters."""
    file = call.server.person("Bob").sends_document("a.txt", b"a")["document"]["file_id"]
    arguments = {"chat_id": ann.id, "document": file}
    await call.result("sendDocument", **arguments, caption="🙂" * 1024)
    refusal = await call.refusal("sendDocument", **arguments, caption="x" * 1025)
    assert refusal == "message caption is too long"


async def test_what_cleaning_takes_away(call: Caller, ann: Person) -> None:
    """Controls become blanks, some characters vanish, and entities follow."""
    text = "  a\r\u202eb\x07c\u2028d  "
    sent = await call.result(
        "sendMessage", chat_id=ann.id, text=text, entities=[bold(5, 3)]
    )  # b, the bell and c
    assert (sent["text"], sent["entities"]) == ("ab cd", [bold(1, 3)])
    sent = await call.result("sendMessage", chat_id=ann.id, text=text)
    assert (sent["text"], "entities" in sent) == ("ab cd", False)


@pytest.mark.parametrize(
    "text,entity,refusal",
    [
        ("aba caba", bold(3, 6), "ends after the end of the text at UTF-16 offset 9"),
        ("aba caba", bold(9, 1), "entity begins after the end of the text at UTF-16 offset 9"),
        ("👉 👉", bold(1, 1), "entity begins in a middle of a UTF-16 symbol at byte offset 4"),
        ("👉 👉", bold(0, 1), "ends in a middle of a UTF-16 symbol at byte offset 4"),
        ("abc", bold(-1, 1), "receive an entity with incorrect offset -1"),
        ("abc", bold(0, -1), "receive an entity with incorrect length -1"),
        ("abc", {**bold(0, 1), "type": "shout"}, "Unsupported type specified"),
        ("abc", {"type": "bold", "offset": 0}, 'Can\'t find field "length"'),
        ("abc", {**bold(0, 1), "offset": "0"}, 'Field "offset" must be of type Number'),
        ("abc", {**bold(0, 1), "type": "text_link"}, 'Can\'t find field "url"'),
        (
            "abc",
            {**bold(0, 1), "type": "custom_emoji", "custom_emoji_id": "x"},
            'Field "custom_emoji_id" must be a valid Number',
        ),
        ("abc", {**bold(0, 1), "type": "text_mention"}, 'Can\'t find field "user"'),
        ("abc", {**bold(0, 1), "type": "custom_emoji"}, 'Can\'t find field "custom_emoji_id"'),
        ("abc", {**bold(0, 1), "type": "pre", "language": 1}, 'Field "language" must be of type'),
        ("abc", "bold", "can't parse MessageEntity"),
    ],
)
async def test_entities_that_are_refused(
    call: Caller, ann: Person, text: str, entity: object, refusal: str
) -> None:
    """Offsets count UTF-16 units, must lie on characters, and kinds have their members."""
    found = await call.refusal("sendMessage", chat_id=ann.id, text=text, entities=[entity])
    assert refusal in found
    assert call.server.sent(ann) == ()


async def test_more_than_a_hundred_entities_are_ignored(call: Caller, ann: Person) -> None:
    """The first hundred stay, the others go without a word."""
    entities = [bold(number * 2, 1) for number in range(120)]
    await call.result("sendMessage", chat_id=ann.id, text="x " * 120, entities=entities)
    [seen] = call.server.sent(ann)
    assert len(seen.entities) == 100
    assert seen.entities[-1]["offset"] == 198


async def test_lone_surrogates_are_refused(call: Caller, ann: Person) -> None:
    """Half a character is no text."""
    content = f'{{"chat_id": {ann.id}, "text": "a\\ud83d"}}'
    headers = {"content-type": "application/json"}
    response = await call.client.post(call.url("sendMessage"), content=content, headers=headers)
    assert response.json()["description"] == "Bad Request: strings must be encoded in UTF-8"


@pytest.mark.parametrize(
    "mode,text,plain,kinds",
    [
        ("HTML", "<b>a &lt;<i>b</i></b> 🙂<code>c</code>", "a <b 🙂c", ["bold", "italic", "code"]),
        ("HTML", '<a href="http://x.y/">l</a>', "l", ["text_link"]),
        ("HTML", '<a href="http://localhost/">l</a><b>b</b>', "lb", ["bold"]),
        ("MarkdownV2", r"*a* _b_ `c.` \. [l](http://x.y/)", "a b c. . l", None),
        ("markdown", "*a* b.c `d`", "a b.c d", ["bold", "code"]),
    ],
)
async def test_parse_modes(
    call: Caller, ann: Person, mode: str, text: str, plain: str, kinds: list[str] | None
) -> None:
    """Marks become entities."""
    sent = await call.result("sendMessage", chat_id=ann.id, text=text, parse_mode=mode)
    assert sent["text"] == plain
    if kinds is not None:
        assert [entity["type"] for entity in sent["entities"]] == kinds


@pytest.mark.parametrize(
    "mode,text,refusal",
    [
        ("HTML", "<x>a</x>", 'Unsupported start tag "x" at byte offset 0'),
        ("HTML", "é<b>a</i>", "Unmatched end tag at byte offset 6"),
        ("HTML", "<b>a", 'Can\'t find end tag corresponding to start tag "b"'),
        ("HTML", "a</b>", "Unexpected end tag at byte offset 1"),
        ("HTML", "a < b", "Unclosed start tag at byte offset 2"),
        ("MarkdownV2", "a.b", "Character '.' is reserved and must be escaped"),
        ("MarkdownV2", "é *a", "Can't find end of Bold entity at byte offset 3"),
        ("Markdown", "a *b", "Can't find end of the entity starting at byte offset 2"),
    ],
)
async def test_broken_marks_are_refused(
    call: Caller, ann: Person, mode: str, text: str, refusal: str
) -> None:
    """What cannot be parsed is not sent; offsets are in bytes."""
    found = await call.refusal("sendMessage", chat_id=ann.id, text=text, parse_mode=mode)
    assert found.startswith(f"can't parse entities: {refusal}")


async def test_unknown_parse_modes_are_refused(call: Caller, ann: Person) -> None:
    """There are three."""
    found = await call.refusal("sendMessage", chat_id=ann.id, text="a", parse_mode="rst")
    assert found == "unsupported parse_mode"


@pytest.mark.parametrize(
    "url,reason",
    [
        ("not-a-url", "Wrong HTTP URL"),
        ("@somebody", "Wrong HTTP URL"),
        ("", "URL host is empty"),
        ("#part", "URL host is empty"),
        ("/etc/hosts", "URL host is empty"),
        ("src/app.py:12", "Wrong HTTP URL"),
        ("http://localhost:8000/", "Wrong HTTP URL"),
        ("D:/notes/a.md:1", "Wrong port number specified in the URL"),
        ("https://x.y:99999/", "Wrong port number specified in the URL"),
        ("file:///etc/hosts", "Unsupported URL protocol"),
        ("https://x y.z/", "Disallowed character in URL host"),
        ("tg://a b", "Unallowed characters in URL host"),
        ("https://example.org/a?b=c#d", None),
        ("example.org", None),
        ("app.py:12", None),
        ("mailto:a@example.org", None),
        ("http://127.0.0.1:8000/", None),
        ("http://[::1]:8000/", None),
        ("https://me:secret@пример.рф/", None),
        ("tg://user?id=1", None),
    ],
)
async def test_links(call: Caller, ann: Person, url: str, reason: str | None) -> None:
    """One address that cannot be used spoils the message."""
    entity = {"type": "text_link", "offset": 0, "length": 1, "url": url}
    arguments = {"chat_id": ann.id, "text": "abc", "entities": [entity]}
    if reason is None:
        assert (await call.result("sendMessage", **arguments))["entities"] == [entity]
    else:
        found = await call.refusal("sendMessage", **arguments)
        assert found == f"entity URL '{url}' is invalid: {reason}"
