"""The chat's page in a real browser, over the real channel; the test stands in for the gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio.from_thread
import pytest

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Button, ButtonStyle
from galaxy_core.domain.message import Address, ButtonPressed, InboundMessage
from galaxy_core.domain.operations import Progress
from galaxy_core.domain.run import Todo
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.status import Draft, Notice, OrderStatus, PressAnswered
from galaxy_core.ports.command_menu import MenuEntry
from tests.integration.chat_site import ChatSite
from tests.support import axe_script, started_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Request

FIRST_PAINT_BYTES = 100 << 10
GENERAL = Address(channel="web", chat_id="owner/general")
ORDER = OrderId("20261122-140000-web-0001")
CANCEL = ((Button("Cancel", "c:1", ButtonStyle.NEGATIVE),),)
ANSWER = """It was **midnight**:

```python
def f():
    return 1
```

| a | b |
|---|--:|
| 1 | 2 |
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with started_browser() as browser:
        yield browser


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ChatSite]:
    """The page, served."""
    with anyio.from_thread.start_blocking_portal() as portal:
        served = ChatSite(portal, tmp_path / "web")
        served.start()
        yield served
        served.stop()


@pytest.fixture
def context(browser: Browser, site: ChatSite) -> Iterator[BrowserContext]:
    """A browser that is logged in; a test fails for what its pages complain of."""
    opened = browser.new_context(
        viewport={"width": 1280, "height": 800}, reduced_motion="reduce", locale="en-GB"
    )
    opened.set_default_timeout(10_000)
    faults: list[str] = []
    opened.on("weberror", lambda error: faults.append(str(error.error)))
    opened.on(
        "console",
        lambda line: faults.append(line.text) if "Content Security" in line.text else None,
    )
    page = opened.new_page()
    page.goto(site.address())
    page.close()
    yield opened
    opened.close()
    assert faults == []


@pytest.fixture
def page(context: BrowserContext, site: ChatSite) -> Page:
    """The page, ready to be written to."""
    return open_page(context, site)


def open_page(context: BrowserContext, site: ChatSite) -> Page:
    """One more tab."""
    opened = context.new_page()
    opened.goto(f"{site.url}/chat/general")
    ready(opened)
    return opened


def ready(page: Page) -> None:
    """Wait until the page has its messages and listens."""
    page.wait_for_selector(".messages:not(.loading)")


def write(page: Page, text: str) -> None:
    """Type and send."""
    page.fill("#text", text)
    page.press("#text", "Enter")


def said(site: ChatSite) -> InboundMessage:
    """The next message."""
    found = site.hear()
    assert isinstance(found, InboundMessage)
    return found


def status(state: OrderState, *, todos: tuple[Todo, ...] = ()) -> OrderStatus:
    """A card."""
    return OrderStatus(
        order_id=ORDER,
        state=state,
        machine="laptop",
        elapsed=timedelta(seconds=61),
        progress=Progress(order_id=ORDER, tool="bash make test", todos=todos, steps=2),
        buttons=() if state.is_final else CANCEL,
    )


def messages(page: Page) -> list[str]:
    """What stands in the conversation, top to bottom."""
    shown = page.locator(".message :is(.words, .prose)").all_text_contents()
    return [text.strip() for text in shown]


def test_what_is_typed_is_answered(page: Page, site: ChatSite) -> None:
    """A message is shown as accepted once the server has it; its answer comes as a page's HTML."""
    write(page, "why does it fail?\nlook at f()")
    message = said(site)
    assert message.text == "why does it fail?\nlook at f()"
    page.wait_for_selector(".person:not(.pending) .state")
    site.say(ANSWER, GENERAL, order_id=ORDER)
    page.wait_for_selector(".letter .code-block .c-k")
    assert page.inner_text(".letter strong") == "midnight"
    assert page.locator(".letter .table td.to-right").inner_text() == "2"
    page.wait_for_selector("#spoken:has-text('midnight')", state="attached")
    assert page.input_value("#text") == ""


def test_first_paint_is_small(context: BrowserContext, site: ChatSite) -> None:
    """All that is loaded before somebody writes is under 100 KB, not compressed."""
    page = context.new_page()
    sizes: dict[str, int] = {}
    page.on(
        "response",
        lambda answer: (
            None if "/chat/api/" in answer.url else sizes.update({answer.url: len(answer.body())})
        ),
    )
    page.goto(f"{site.url}/chat/general")
    ready(page)
    page.wait_for_load_state("load")
    assert len(sizes) > 8
    assert sum(sizes.values()) < FIRST_PAINT_BYTES, sizes


def test_reload_in_the_middle_of_an_answer(page: Page, site: ChatSite) -> None:
    """Live text and state are there again after a reload, and the answer replaces them, once."""
    write(page, "go on")
    said(site)
    todos = (Todo(content="Look", status="completed"), Todo(content="Mend", status="in_progress"))
    card = site.show(status(OrderState.RUNNING, todos=todos), GENERAL)
    site.hint(Draft(order_id=ORDER, text="It was **mid"), GENERAL)
    page.wait_for_selector(".draft .prose p")
    page.reload()
    ready(page)
    page.wait_for_selector(".draft .prose p")
    page.wait_for_selector(".ticks:has-text('1:0')")
    assert page.locator(".todos li").all_text_contents() == ["done: Look", "in progress: Mend"]
    site.show(status(OrderState.SUCCEEDED), GENERAL, card)
    site.say("It was midnight.", GENERAL, order_id=ORDER)
    page.wait_for_selector(".letter:not(.draft)")
    page.wait_for_selector(".draft", state="detached")
    assert messages(page) == ["go on", "It was midnight."]


def test_two_tabs_show_the_same(page: Page, site: ChatSite, context: BrowserContext) -> None:
    """What one tab sends stands in the other one too, once."""
    other = open_page(context, site)
    write(page, "from the first")
    said(site)
    other.wait_for_selector(".person")
    write(other, "from the second")
    said(site)
    site.say("Heard both.", GENERAL)
    for tab in (page, other):
        tab.wait_for_selector(".letter")
        assert messages(tab) == ["from the first", "from the second", "Heard both."]


def test_permission_is_pressed(page: Page, site: ChatSite) -> None:
    """A question has buttons; pressing one reaches the gateway, and the question changes."""
    choices = (
        (
            Button("Once", "a:1:0", ButtonStyle.POSITIVE),
            Button("No", "a:1:1", ButtonStyle.NEGATIVE),
        ),
    )
    site.say("**May I?** `rm -r build`", GENERAL, order_id=ORDER, buttons=choices)
    page.wait_for_selector(".asking")
    page.get_by_role("button", name="Once").click()
    pressed = site.hear()
    assert isinstance(pressed, ButtonPressed)
    assert pressed.data == "a:1:0"
    assert page.locator(".choice[aria-disabled=true]").count() == len(choices[0])
    site.show(Notice(text="**May I?** _Allowed once._"), GENERAL, pressed.message_id)
    site.hint(PressAnswered(press_id=pressed.press_id, text="Allowed once."), GENERAL)
    page.wait_for_selector(".asking", state="detached")
    assert messages(page) == ["May I? Allowed once."]


def test_files_are_sent_and_fetched(page: Page, site: ChatSite, tmp_path: Path) -> None:
    """Files added by button or paste go along; what was sent can be downloaded."""
    note = tmp_path / "note.txt"
    note.write_text("hello", encoding="utf-8")
    page.set_input_files("#picker", note)
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(["%PDF"], "pasted.pdf", {type: "application/pdf"}));
          const event = new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
          document.querySelector("#text").dispatchEvent(event);
        }"""
    )
    assert page.locator(".chip .file-name").all_inner_texts() == ["note.txt", "pasted.pdf"]
    write(page, "read this")
    message = said(site)
    assert [file.name for file in message.files] == ["note.txt", "pasted.pdf"]
    page.wait_for_selector(".person:not(.pending) a.file")
    with page.expect_download() as download:
        page.locator("a.file").first.click()
    assert Path(download.value.path()).read_text(encoding="utf-8") == "hello"


def test_offline_and_back(page: Page, site: ChatSite, context: BrowserContext) -> None:
    """What is written offline is kept over a reload's worth of time and sent once, in order."""
    context.set_offline(True)
    write(page, "first")
    write(page, "second")
    page.wait_for_selector(".pending.waiting")
    page.wait_for_selector("#banner:not([hidden])")
    context.set_offline(False)
    assert [said(site).text, said(site).text] == ["first", "second"]
    page.wait_for_selector(".pending", state="detached")
    page.wait_for_selector("#banner", state="hidden")
    assert messages(page) == ["first", "second"]
    assert site.hears_nothing()


def test_server_comes_back_under_an_open_page(page: Page, site: ChatSite) -> None:
    """The page catches up with what happened meanwhile; what it sent meanwhile goes out once."""
    write(page, "before")
    said(site)
    page.wait_for_selector(".person:not(.pending)")
    site.stop()
    write(page, "meanwhile")
    page.wait_for_selector(".pending.waiting")
    site.start()
    site.say("A letter that nobody saw come.", GENERAL)
    page.wait_for_selector(".letter")
    page.wait_for_selector(".pending", state="detached")
    assert sorted(messages(page)) == ["A letter that nobody saw come.", "before", "meanwhile"]
    assert said(site).text == "meanwhile"
    assert site.hears_nothing()


def test_what_waits_outlives_its_page(page: Page, site: ChatSite, context: BrowserContext) -> None:
    """A message that could not be sent is sent, once, by the next page that is opened."""
    site.stop()
    write(page, "keep this")
    page.wait_for_selector(".pending.waiting")
    page.close()
    site.start()
    again = open_page(context, site)
    assert said(site).text == "keep this"
    again.wait_for_selector(".person:not(.pending)")
    assert messages(again) == ["keep this"]
    assert site.hears_nothing()


def test_refused_message_is_sent_again(page: Page, site: ChatSite, context: BrowserContext) -> None:
    """A refusal is told in words; trying again sends the same message under the same key."""
    keys: list[str] = []

    def note(sent: Request) -> None:
        if sent.url.endswith("/api/messages"):
            keys.append(json.loads(sent.post_data or "{}")["key"])

    context.on("request", note)
    context.route(
        "**/chat/api/messages",
        lambda route: route.fulfill(status=413, body='{"detail": "This is too large."}'),
        times=1,
    )
    write(page, "once more")
    page.wait_for_selector(".pending.failed:has-text('This is too large.')")
    page.get_by_role("button", name="Try again").click()
    assert said(site).text == "once more"
    page.wait_for_selector(".pending", state="detached")
    first, second = keys
    assert first == second


def test_demo_is_labelled(browser: Browser, tmp_path: Path) -> None:
    """The page and each answer say that no model was asked; the gateway's own words do not."""
    with anyio.from_thread.start_blocking_portal() as portal:
        site = ChatSite(portal, tmp_path / "demo", is_demo=True)
        site.start()
        context = browser.new_context()
        page = context.new_page()
        page.goto(site.address())
        ready(page)
        site.say("These are the commands.", GENERAL)
        site.say("An answer.", GENERAL, order_id=ORDER)
        page.wait_for_selector(".letter .label:has-text('Demo answer')")
        assert page.locator(".letter .label").count() == 1
        assert page.locator(".demo").is_visible()
        context.close()
        site.stop()


def test_nothing_of_a_text_runs(page: Page, site: ChatSite) -> None:
    """Tags in messages, titles and names of files are words."""
    attack = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
    write(page, attack)
    said(site)
    site.say(f"{attack}\n\n[x](javascript:window.pwned=1)\n\n```{attack}\n{attack}\n```", GENERAL)
    site.hint(Draft(order_id=ORDER, text=attack), GENERAL)
    page.wait_for_selector(".letter .code-block")
    page.wait_for_selector(".draft .prose p")
    page.click("#room-name button")
    page.fill("#room-name input", attack[:90])
    page.press("#room-name input", "Enter")
    page.wait_for_selector("h1:has-text('<img')")
    assert page.evaluate("window.pwned") is None
    assert page.locator(".message img, .message script, #rooms img, h1 img").count() == 0
    assert messages(page)[0] == attack


def test_keyboard_alone(page: Page, site: ChatSite) -> None:
    """Commands complete, Shift+Enter breaks the line, a draft outlives a reload."""
    entries = [MenuEntry("status", "How it is"), MenuEntry("stop", "End it")]
    site.channel.desk.set_commands(entries, {})
    page.reload()
    ready(page)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("/st")
    page.wait_for_selector("#commands li[aria-selected=true]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert page.input_value("#text") == "/stop "
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("now")
    page.reload()
    ready(page)
    assert page.input_value("#text") == "/stop \nnow"


def test_long_history_is_paged(page: Page, site: ChatSite) -> None:
    """The newest messages come first; scrolling up brings the others above what is read."""
    for number in range(120):
        site.say(f"Letter {number}", GENERAL)
    page.reload()
    ready(page)
    page.wait_for_selector("#list .message:last-child:has-text('Letter 119')")
    assert page.locator("#list .message").count() < 120
    box = page.locator("#messages")
    while page.locator("#earlier").is_visible():
        shown = page.locator("#list .message").count()
        box.evaluate("box => { box.scrollTop = 0 }")
        page.wait_for_selector(f"#list .message:nth-child({shown + 1})", state="attached")
        assert box.evaluate("box => box.scrollTop") > 0
    assert messages(page) == [f"Letter {number}" for number in range(120)]
    page.click("#jump")
    page.wait_for_selector("#jump", state="hidden")


def test_enter_key_says_what_it_does(browser: Browser, site: ChatSite) -> None:
    """With a keyboard it sends; on glass it begins a new line, and is labelled so."""
    for is_touch, label in ((False, "send"), (True, "enter")):
        opened = browser.new_context(has_touch=is_touch, is_mobile=is_touch)
        opened.new_page().goto(site.address())
        page = open_page(opened, site)
        page.fill("#text", "one")
        page.press("#text", "Enter")
        assert page.locator("#text").get_attribute("enterkeyhint") == label
        assert page.input_value("#text") == ("one\n" if is_touch else "")
        opened.close()


def test_conversation_is_named_after_its_first_line(page: Page, site: ChatSite) -> None:
    """A long order makes a name that fits, cut between words; the message stays whole."""
    page.click("#new-room")
    page.wait_for_selector("#room-name h1:text-is('New conversation')")
    text = "Explain in detail what this project is about and why\nand then the table"
    write(page, text)
    assert said(site).text == text
    name = "Explain in detail what this project is about…"
    page.wait_for_selector(f"#room-name h1:text-is('{name}')")
    assert page.locator("#rooms").get_by_text(name).count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_nobody_is_kept_out(
    browser: Browser, site: ChatSite, scheme: Literal["light", "dark"], width: int
) -> None:
    """axe-core finds no serious fault, and nothing is wider than the screen."""
    source = axe_script()
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(site.address())
    ready(page)
    write(page, "a" * 300)
    said(site)
    site.say(ANSWER, GENERAL)
    todos = (Todo(content="Look", status="completed"), Todo(content="Mend", status="pending"))
    site.show(status(OrderState.RUNNING, todos=todos), GENERAL)
    site.show(status(OrderState.FAILED), GENERAL)
    site.say("May I?", GENERAL, order_id=ORDER, buttons=((Button("Yes", "a:2:0"),),))
    page.wait_for_selector(".asking")
    page.wait_for_selector(".failed.card")
    found = page.evaluate(f"{source}; axe.run().then((found) => found.violations)")
    serious = [fault for fault in found if fault["impact"] in {"serious", "critical"}]
    assert serious == [], json.dumps(serious, indent=1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('#messages').scrollWidth") <= width
    context.close()
