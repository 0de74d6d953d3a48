"""Responses of the original system, in its two forms, as far as they can be told apart.

They quote nothing, so a reply that looks like their own lines may be cut wrongly; what cannot be
recognised is a reply as a whole.
"""

from __future__ import annotations

from attrs import frozen

__all__ = ["OlderResponse", "parse_older"]

_TITLE = "# Galaxy Order Response"
_RECEIVED = ("**Order Received**:", "**Order**:")
_MESSAGE = '**Message**: "'
_ACKNOWLEDGED = "**Acknowledged By**:"
_RULE = "---"
_HEADING = "## Response"
_SIGNED = "*Hermes - "


@frozen
class OlderResponse:
    """What could be made out."""

    reply: str
    message: str = ""
    timestamp: str = ""
    finished_at: str = ""


def parse_older(document: str) -> OlderResponse:
    """Read either form; anything else comes back as the reply, untouched."""
    lines = [line.removesuffix("\r") for line in document.split("\n")]
    start = _skip_blank(lines, 0)
    if start == len(lines) or lines[start].rstrip() != _TITLE:
        return OlderResponse(document)
    received = _skip_blank(lines, start + 1)
    message = received + 1
    if message >= len(lines) or not lines[received].startswith(_RECEIVED):
        return OlderResponse(document)
    head_end = _end_of_head(lines, message)
    if head_end is None or not lines[message].startswith(_MESSAGE):
        return OlderResponse(document)
    rule, message_end = head_end
    text = rule + 1
    if lines[message_end].startswith(_ACKNOWLEDGED):  # only this form has a heading of its own
        heading = _skip_blank(lines, text)
        if heading < len(lines) and lines[heading].rstrip() == _HEADING:
            text = heading + 1
    footer, finished_at = _footer(lines, text)
    quoted = "\n".join(lines[message:message_end]).rstrip()
    return OlderResponse(
        reply="\n".join(lines[text:footer]).strip("\n"),
        message=quoted.removeprefix(_MESSAGE).removesuffix('"'),
        timestamp=lines[received].partition(":")[2].strip(),
        finished_at=finished_at,
    )


def _end_of_head(lines: list[str], message: int) -> tuple[int, int] | None:
    """Find the rule that ends the head, and the line after the message.

    The rule's last words before it are the message's closing quote or who acknowledged.
    """
    last = message
    for number in range(message, len(lines)):
        line = lines[number].rstrip()
        if line == _RULE:
            before = lines[last].rstrip()
            if before.startswith(_ACKNOWLEDGED):
                return number, last
            if before.endswith('"'):
                return number, last + 1
        if line:
            last = number
    return None


def _footer(lines: list[str], start: int) -> tuple[int, str]:
    """Find the last rule that is followed by a signature, and the time in it."""
    for number in range(len(lines) - 1, start - 1, -1):
        if lines[number].rstrip() != _RULE:
            continue
        signature = [line.strip() for line in lines[number + 1 :] if line.strip()]
        if signature and signature[0].startswith("*") and len(signature) <= 3:  # noqa: PLR2004
            said = signature[-1].removeprefix(_SIGNED).strip("*")
            return number, said
        break
    return len(lines), ""


def _skip_blank(lines: list[str], start: int) -> int:
    while start < len(lines) and not lines[start].strip():
        start += 1
    return start
