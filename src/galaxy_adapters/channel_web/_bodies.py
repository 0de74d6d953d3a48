"""What a message says, as it is kept and as pages show it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from anyio import to_thread

from galaxy_adapters._web import plain_html, render
from galaxy_adapters.channel_web._history import StoredFile
from galaxy_adapters.channel_web._letter_html import letter_html
from galaxy_core.domain.letter import Buttons, Letter, LetterFormat
from galaxy_core.domain.order import JSONObject, JSONValue
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.status import Card, Notice, OrderStatus

LONGEST_SHOWN = 100_000
"""Characters; of a longer letter the beginning is shown, the whole is a file beside it."""
BEGINNING = 20_000
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What is shown as a picture: formats in which nothing runs."""
_NOTHING = "(empty)"
_WORDS = {
    OrderState.PENDING: "Waiting",
    OrderState.CLAIMED: "Starting",
    OrderState.RUNNING: "Working",
    OrderState.SUCCEEDED: "Done",
    OrderState.FAILED: "Failed",
    OrderState.CANCELLED: "Cancelled",
    OrderState.EXPIRED: "Expired",
    OrderState.DEAD: "Given up",
}
_LONGEST_LINE = 300
_MOST_TODOS = 50


def person_body(
    text: str, files: Sequence[StoredFile], *, reply_to: str | None, name: str
) -> dict[str, JSONValue]:
    """What a person wrote: shown as it was written."""
    html = plain_html(text) if text else ""
    return _body("person", text, html, files) | {"reply_to": reply_to, "sender": name}


async def letter_body(
    letter: Letter,
    files: Sequence[StoredFile],
    *,
    missing: Sequence[str] = (),
    is_demo: bool,
) -> dict[str, JSONValue]:
    """What a letter says; files that cannot be had are named."""
    text = letter.message
    if len(text) > LONGEST_SHOWN:
        text = f"{text[:BEGINNING]}…\n\n(The whole text is in the file below.)"
        html = plain_html(text)
    elif letter.format is LetterFormat.MARKDOWN:
        html = await render(text)
    elif letter.format is LetterFormat.HTML:
        html = await to_thread.run_sync(letter_html, text)
    else:
        html = plain_html(text)
    if not text.strip() and not files:
        html = f'<p class="quiet">{_NOTHING}</p>\n'
    html += "".join(f'<p class="missing">{escape(line)}</p>\n' for line in missing)
    return _body("letter", text, _clean(html), files, letter.buttons) | {
        "severity": letter.severity.value,
        "sender": letter.sender,
        "order_id": letter.order_id,
        "reply_to": letter.reply_to,
        "is_demo": is_demo,
        "letter": letter.name,
    }


async def card_body(card: Card, *, is_demo: bool) -> dict[str, JSONValue]:
    """What a card says now."""
    if isinstance(card, Notice):
        html = await render(card.text)
        return _body("card", card.text, html, (), card.buttons) | {"is_demo": is_demo}
    status = _status(card)
    lines = _lines(status)
    html = "".join(f"<p>{escape(line)}</p>\n" for line in lines)
    return _body("card", "\n".join(lines), _clean(html), (), card.buttons) | {
        "order_id": card.order_id,
        "reply_to": card.reply_to,
        "status": status,
        "is_demo": is_demo,
    }


def _body(
    kind: str, text: str, html: str, files: Sequence[StoredFile], buttons: Buttons = ()
) -> dict[str, JSONValue]:
    rows: list[JSONValue] = [
        [{"text": b.text, "data": b.data, "style": b.style.value} for b in row] for row in buttons
    ]
    return {
        "kind": kind,
        "text": _clean(text),
        "html": html,
        "severity": "info",
        "sender": "",
        "order_id": None,
        "reply_to": None,
        "is_demo": False,
        "buttons": rows,
        "files": [dict(file_view(file)) for file in files],
        "status": None,
    }


def file_view(file: StoredFile) -> JSONObject:
    """A file as pages show it."""
    return {
        "id": file.id,
        "name": file.name,
        "mime": file.mime,
        "size": file.size,
        "url": f"/chat/files/{file.id}",
        "is_image": file.mime in IMAGES,
    }


def _status(card: OrderStatus) -> dict[str, JSONValue]:
    progress = card.progress
    todos: list[JSONValue] = []
    if progress is not None:
        todos = [
            {"content": _line(todo.content), "status": todo.status}
            for todo in progress.todos[:_MOST_TODOS]
        ]
    usage = progress.usage if progress is not None else None
    return {
        "state": card.state.value,
        "machine": card.machine,
        "place": card.place,
        "waits_until": card.waits_until.isoformat() if card.waits_until else None,
        "elapsed_seconds": round(card.elapsed.total_seconds(), 1) if card.elapsed else None,
        "tool": _line(progress.tool) if progress and progress.tool else None,
        "todos": todos,
        "steps": progress.steps if progress else 0,
        "tokens": usage.total_tokens if usage else 0,
        "cost_usd": usage.cost_usd if usage else 0.0,
        "note": _line(progress.note) if progress and progress.note else None,
        "is_waiting": bool(progress and progress.waiting_for),
        "is_over": card.state.is_final,
    }


def _lines(status: JSONObject) -> list[str]:
    """A status in words, for who reads no symbols."""
    words = [_WORDS[OrderState(str(status["state"]))]]
    if isinstance(place := status["place"], int):
        words.append("next in line" if place == 1 else f"place {place} in line")
    if status["waits_until"]:
        words.append(f"begins {status['waits_until']}")
    if isinstance(seconds := status["elapsed_seconds"], float):
        words.append(f"{seconds:.0f} s")
    words.append(str(status["machine"]))
    lines = [" · ".join(words)]
    if status["is_waiting"]:
        lines.append("Waits for your answer")
    elif status["tool"]:
        lines.append(str(status["tool"]))
    if isinstance(todos := status["todos"], list):
        lines += [
            f"{todo['status']}: {todo['content']}" for todo in todos if isinstance(todo, dict)
        ]
    if status["note"]:
        lines.append(str(status["note"]))
    return lines


def _line(text: str) -> str:
    line = " ".join(_clean(text).split())
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"


def _clean(text: str) -> str:
    """Without what no page can show."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
