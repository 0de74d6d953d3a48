"""The page as a person has it: a browser, `galaxy up`, the real opencode on a scripted model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from galaxy_apps.exit_codes import ExitCode
from galaxy_core.testing.fixtures_opencode import opencode_binary, scripted_model
from galaxy_core.testing.opencode_project import private_environment, write_opencode_project
from galaxy_core.testing.script import JSON
from galaxy_core.testing.scripted_llm import ScriptedModelServer
from galaxy_core.wire.layout import Layout
from tests.e2e.machine import eventually
from tests.e2e.up import Up, bare_environment
from tests.support import axe_script, started_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, Response

__all__ = ["opencode_binary", "scripted_model"]

pytestmark = [pytest.mark.opencode, pytest.mark.slow]

FIRST_PAINT_BYTES = 100 << 10
PATIENCE_MS = 45_000
"""The first answer has to wait for a cold opencode, half a minute on a busy machine."""
RULES: dict[str, JSON] = {"bash": {"*": "allow", "touch *": "ask"}}
"""What opencode asks a person about."""
RICH = "\n".join(  # the model says each line
    f"SAY {line}"
    for line in (
        "It was **midnight**:",
        "",
        "```python",
        "def f():",
        "    return 1",
        "```",
        "",
        "| a | b |",
        "|---|--:|",
        "| 1 | 2 |",
    )
)
SLOWLY = "SLOW 0.15\nSAY It was " + " ".join(f"word{number}" for number in range(40)) + " the end."


@pytest.fixture(scope="module")
def up(
    tmp_path_factory: pytest.TempPathFactory,
    opencode_binary: Path,
    scripted_model: ScriptedModelServer,
) -> Iterator[Up]:
    """Everything that runs, for all tests; at its end nothing is left of it."""
    folder = tmp_path_factory.mktemp("page")
    write_opencode_project(folder, scripted_model.url, permission=RULES)
    settings = Layout(folder).settings_folder / "config.json"
    settings.parent.mkdir(mode=0o700)
    settings.write_text(
        json.dumps({"machines": {"lab": {}}, "dispatcher": "opencode-server", "workers": 4})
    )
    settings.chmod(0o600)
    environment = private_environment(folder / "home", bare_environment(folder))
    environment |= {"GALAXY_OPENCODE_BIN": str(opencode_binary), "PWD": str(folder)}
    running = Up(folder, environment)
    try:
        running.start("up", "--no-browser", "--port", "0")
        yield running
        assert running.stop() == ExitCode.OK, running.log.read_text()
        assert running.left() == []
    finally:
        running.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests."""
    with started_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def first_address(up: Up) -> str:
    """What was printed first."""
    return up.address


@pytest.fixture(scope="module")
def person(browser: Browser, up: Up, first_address: str) -> Iterator[BrowserContext]:
    """A browser that has opened the printed address; what its pages complain of is a fault."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, reduced_motion="reduce", locale="en-GB"
    )
    context.set_default_timeout(PATIENCE_MS)
    faults: list[str] = []
    context.on("weberror", lambda error: faults.append(str(error.error)))
    page = context.new_page()
    answer = page.goto(first_address)
    assert answer is not None
    assert answer.status == 200
    assert "key=" not in page.url
    page.close()
    yield context
    context.close()
    assert faults == []


@pytest.fixture
def page(person: BrowserContext, up: Up) -> Iterator[Page]:
    """A conversation of the test's own, just begun."""
    opened = person.new_page()
    opened.goto(f"{up.base}/chat")
    ready(opened)
    before = opened.url
    opened.click("#new-room")
    opened.wait_for_url(lambda url: url != before)
    ready(opened)
    yield opened
    opened.close()


def ready(page: Page) -> None:
    """Wait until the page has its messages and listens."""
    page.wait_for_selector(".messages:not(.loading)")


def write(page: Page, text: str) -> None:
    """Type and send."""
    page.fill("#text", text)
    page.press("#text", "Enter")


def letters(page: Page) -> list[str]:
    """What was answered, top to bottom."""
    found = page.locator("#list .letter .prose").all_text_contents()
    return [text.strip() for text in found]


def orders(page: Page) -> list[str]:
    """What was asked, top to bottom."""
    return page.locator(".message.person .words").all_text_contents()


def test_what_is_typed_is_answered_by_the_agent(page: Page) -> None:
    """Code is coloured, the table is a table, and the order's way is shown as done."""
    write(page, RICH)
    page.wait_for_selector("#list .letter .table td")
    assert page.inner_text("#list .letter strong") == "midnight"
    assert page.locator("#list .letter .code-block .c-k").count() >= 1
    page.wait_for_selector(".status .card:not(:has(.buttons))")
    assert orders(page) == [RICH]
    assert len(letters(page)) == 1


def test_permission_is_given_by_a_button(page: Page, up: Up) -> None:
    """The agent waits for a person; the button lets it go on, and the question says so."""
    write(page, "CALL bash: touch seen.txt\nSAY it is there")
    page.wait_for_selector(".asking :text('touch seen.txt')")
    assert not (up.folder / "seen.txt").exists()
    page.get_by_role("button", name="Once").click()
    page.wait_for_selector("#list .letter:has-text('it is there')")
    page.wait_for_selector(".asking", state="detached")
    assert (up.folder / "seen.txt").exists()
    assert page.locator("#list .letter:has-text('Allowed once')").count() == 1


def test_reload_in_the_middle_of_an_answer(page: Page) -> None:
    """The text goes on where it stood, and ends as one answer."""
    write(page, SLOWLY)
    page.wait_for_selector(".draft .prose:has-text('word5')")
    page.reload()
    ready(page)
    page.wait_for_selector(".draft .prose:has-text('word5')")
    page.wait_for_selector("#list .letter:has-text('the end.')")
    page.wait_for_selector(".draft", state="detached")
    assert orders(page) == [SLOWLY]
    assert len(letters(page)) == 1


def test_two_tabs_show_the_same(page: Page, person: BrowserContext) -> None:
    """What is written in one stands in both, with its answer, once."""
    other = person.new_page()
    other.goto(page.url)
    ready(other)
    write(page, "SAY heard the first")
    other.wait_for_selector("#list .letter:has-text('heard the first')")
    write(other, "SAY heard the second")
    for tab in (page, other):
        tab.wait_for_selector("#list .letter:has-text('heard the second')")
        assert orders(tab) == ["SAY heard the first", "SAY heard the second"]
        assert letters(tab) == ["heard the first", "heard the second"]
    other.close()


def test_server_is_killed_under_open_pages(page: Page, person: BrowserContext, up: Up) -> None:
    """kill -9 while the agent works: pages find the next server, with one answer a message."""
    board = person.new_page()
    board.goto(f"{up.base}/")
    first, second = "CALL bash: sleep 3\nSAY all of it", "SAY and this too"
    write(page, first)
    page.wait_for_selector(".status:has-text('sleep 3')")
    board.wait_for_selector("#running :text('sleep 3')")
    up.kill()
    write(page, second)
    page.wait_for_selector(".pending.waiting")
    page.wait_for_selector("#banner:not([hidden])")
    up.start("up", "--no-browser", "--port", up.base.rpartition(":")[2])
    page.wait_for_selector("#list .letter:has-text('and this too')")
    page.wait_for_selector(".pending", state="detached")
    page.wait_for_selector("#banner", state="hidden")
    assert orders(page) == [first, second]
    assert letters(page) == ["all of it", "and this too"]
    board.wait_for_selector("#recent .order:has-text('and this too')")
    board.wait_for_selector("#running .none")
    board.close()
    page.reload()
    ready(page)
    assert orders(page) == [first, second]
    assert letters(page) == ["all of it", "and this too"]
    archive = Layout(up.folder).archive
    eventually(lambda: len(_about(archive, "all of it")) == 1, "the order is archived, once")


def test_failed_order_is_told_and_tried_again(page: Page) -> None:
    """The reason stands in words, and a button makes a new order of it."""
    write(page, "FAIL 400 this model is out of order")
    page.wait_for_selector("#list .letter:has-text('this model is out of order')")
    page.get_by_role("button", name="Run again").click()  # of its card, or where it had none
    page.wait_for_selector("#list .letter.warning >> nth=1")


def test_order_is_found_from_the_dashboard(page: Page, up: Up) -> None:
    """From the first page to the order's own: its whole way, its text, its answer."""
    write(page, "Tell the story of this one\nSAY once upon a time")
    page.wait_for_selector("#list .letter:has-text('once upon a time')")
    page.goto(f"{up.base}/")
    page.wait_for_selector("#recent .order:has-text('Tell the story')")
    page.click("#recent .order:has-text('Tell the story')")
    page.wait_for_url(re.compile(r"/orders/.+"))
    page.wait_for_selector("#timeline .steps li:has-text('elivered')")
    assert "once upon a time" in page.inner_text("#response")
    assert "Tell the story of this one" in page.inner_text(".payload")
    assert page.locator("#timeline .steps li").count() >= 5


def test_nothing_is_shown_without_the_key(
    browser: Browser, person: BrowserContext, first_address: str, up: Up
) -> None:
    """A browser that did not open the printed address sees how to get in, and no order."""
    stranger = browser.new_context()
    page = stranger.new_page()
    for path in ("/", "/chat", "/orders", "/audit", "/orders/any"):
        answer = page.goto(up.base + path)
        assert answer is not None
        assert answer.status == 401, path
        assert "galaxy up" in page.inner_text("main")
    answer = page.goto(first_address)
    assert answer is not None
    assert answer.status == 403, "the key was used up"
    stranger.close()


def test_nobody_is_kept_out(person: BrowserContext, up: Up) -> None:
    """axe-core finds no serious fault on any page, by day and by night; each is small."""
    source = axe_script()
    page = person.new_page()
    loaded: list[Response] = []
    page.on("response", lambda answer: loaded.append(answer))  # noqa: PLW0108  marks its handlers
    page.goto(f"{up.base}/orders")
    order = page.get_attribute("a.order", "href")
    for path in ("/", "/chat/general", "/orders", "/audit", order):
        loaded.clear()
        page.goto(f"{up.base}{path}")
        if path == "/chat/general":  # where nothing was written so far
            ready(page)
        painted = {
            answer.url: len(answer.body())
            for answer in loaded
            if answer.request.resource_type in {"document", "stylesheet", "script", "image"}
        }
        assert len(painted) >= 3
        assert sum(painted.values()) < FIRST_PAINT_BYTES, painted
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = page.evaluate(f"{source}; axe.run().then((found) => found.violations)")
            serious = [fault for fault in found if fault["impact"] in {"serious", "critical"}]
            assert serious == [], (path, scheme, json.dumps(serious, indent=1))
    page.close()


def _about(archive: Path, words: str) -> list[Path]:
    return [path for path in archive.glob("*.json") if words in path.read_text()]
