"""The buttons below a question: its choices, and ways to answer that are none."""

from __future__ import annotations

from collections.abc import Container, Sequence

from galaxy_core.domain.ask import Ask, Choice
from galaxy_core.domain.letter import Button, Buttons, ButtonStyle

PREFIX = "a"
"""How the data of an ask's buttons begins."""
SEND_OFF, WRITE = "ok", "text"
"""What the buttons carry that are no choices."""
ROW_CHARACTERS = 24
"""What a phone shows of a row without cutting its buttons' texts."""


def buttons_of(ask: Ask, chosen: Container[int] = ()) -> Buttons:
    """The ask's buttons; `chosen` are the indices of choices that were taken so far."""
    rows: list[tuple[Button, ...]] = []
    for index, choice in enumerate(ask.choices):
        label = _label(choice, is_chosen=index in chosen) if ask.is_multiple else choice.label
        rows.append((Button(label, _data(ask, str(index)), choice.style),))
    if ask.is_multiple:
        rows.append((Button("Send off", _data(ask, SEND_OFF), ButtonStyle.POSITIVE),))
    if ask.allows_text:
        rows.append((Button("Type an answer", _data(ask, WRITE)),))
    return tuple(_side_by_side(rows))


def _label(choice: Choice, *, is_chosen: bool) -> str:
    return f"{'☑' if is_chosen else '☐'} {choice.label}"


def _side_by_side(rows: Sequence[tuple[Button, ...]]) -> list[tuple[Button, ...]]:
    """Put short buttons beside each other."""
    joined: list[tuple[Button, ...]] = []
    for row in rows:
        together = (*joined[-1], *row) if joined else row
        if joined and sum(len(button.text) for button in together) <= ROW_CHARACTERS:
            joined[-1] = together
        else:
            joined.append(row)
    return joined


def _data(ask: Ask, what: str) -> str:
    return f"{PREFIX}:{ask.id}:{what}"
