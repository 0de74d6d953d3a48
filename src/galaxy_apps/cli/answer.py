"""`galaxy order answer`: what a running agent wants to know, and the person's answer to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from galaxy_apps.cli import output
from galaxy_apps.cli.errors import UsageError
from galaxy_apps.cli.output import print_json, write
from galaxy_apps.cli.place import find_order, open_place, operator, run
from galaxy_apps.exit_codes import ExitCode
from galaxy_core.domain.errors import PermanentError
from galaxy_core.domain.run import (
    Answer,
    PermissionChoice,
    PermissionReply,
    PermissionRequested,
    Question,
    QuestionAsked,
    QuestionRejected,
    QuestionReply,
)

if TYPE_CHECKING:
    from galaxy_apps.wiring import Place

Request: TypeAlias = PermissionRequested | QuestionAsked


def answer(
    *,
    config: Path | None,
    machine: str | None,
    order_id: str,
    answers: list[str],
    request_id: str | None,
    message: str | None,
    is_rejected: bool,
    is_json: bool,
) -> ExitCode:
    """Show what waits for a person, or answer it."""
    from galaxy_apps.logging import configure_logging

    place = open_place(config, machine)
    configure_logging(level="WARNING", secrets=place.settings.secrets())
    found, waiting = run(lambda: _waiting(place, order_id))
    if not answers and not is_rejected:
        _print_waiting(found, waiting, is_json=is_json)
        return ExitCode.OK
    request = _chosen(waiting, request_id, found)
    reply = _reply(request, answers, message, is_rejected=is_rejected)
    run(lambda: _send(place, found, request, reply))
    if is_json:
        print_json({"order_id": found, "request_id": request.request_id, "answered": True})
    else:
        write(f"Answered; the order {found} goes on.")
    return ExitCode.OK


async def _waiting(place: Place, order_id: str) -> tuple[str, Sequence[Request]]:
    view = await find_order(place.catalogue(), order_id)
    progress = await place.progress().latest(view.order.id)
    is_open = progress is not None and not view.state.is_final
    return view.order.id, progress.waiting_for if progress is not None and is_open else ()


async def _send(place: Place, order_id: str, request: Request, reply: Answer) -> None:
    from galaxy_core.domain.ids import OrderId
    from galaxy_core.domain.operations import AnswerGiven

    await place.control().send(
        AnswerGiven(
            order_id=OrderId(order_id),
            request_id=request.request_id,
            answer=reply,
            at=place.clock().now(),
            by=operator(),
        )
    )


def _chosen(waiting: Sequence[Request], request_id: str | None, order_id: str) -> Request:
    """The request that is meant; with several of them it has to be named."""
    if not waiting:
        raise PermanentError(f"Nothing waits for an answer in the order {order_id}.")
    named = [r for r in waiting if request_id in (None, r.request_id)]
    if len(named) != 1:
        known = ", ".join(r.request_id for r in waiting)
        raise UsageError(f"say which request is meant with --request: {known}")
    return named[0]


def _reply(
    request: Request, answers: Sequence[str], message: str | None, *, is_rejected: bool
) -> Answer:
    if isinstance(request, QuestionAsked):
        if is_rejected:
            return QuestionRejected()
        if len(answers) != len(request.questions):
            raise UsageError(
                f"{len(request.questions)} answers are wanted, one for each question; "
                f"there are {len(answers)}"
            )
        pairs = zip(request.questions, answers, strict=True)
        return QuestionReply(answers=tuple(_labels(question, text) for question, text in pairs))
    word = "reject" if is_rejected else " ".join(answers)
    try:
        choice = PermissionChoice(word)
    except ValueError:
        raise UsageError(f"{word!r} is none of: {', '.join(PermissionChoice)}") from None
    return PermissionReply(choice=choice, message=message)


def _labels(question: Question, text: str) -> tuple[str, ...]:
    """Labels that are meant: by number (`2`, or `1,3` where several may be chosen), or as typed."""
    numbers = text.split(",") if question.is_multiple else [text]
    if question.options and all(n.strip().isascii() and n.strip().isdigit() for n in numbers):
        places = [int(n) for n in numbers]
        if not all(1 <= place <= len(question.options) for place in places):
            raise UsageError(f"{text!r}: the options are numbered 1 to {len(question.options)}")
        return tuple(question.options[place - 1].label for place in places)
    labels = {option.label.casefold(): option.label for option in question.options}
    label = labels.get(text.casefold())
    if label is None and question.options and not question.allows_free_text:
        raise UsageError(f"{text!r} is none of: {', '.join(labels.values())}")
    return (label or text,)


def _print_waiting(order_id: str, waiting: Sequence[Request], *, is_json: bool) -> None:
    if is_json:
        print_json({"order_id": order_id, "waiting": [_document(r) for r in waiting]})
    elif not waiting:
        write(f"Nothing waits for an answer in the order {order_id}.")
    for request in () if is_json else waiting:
        for line in _lines(request):
            write(output.safe(line))


def _document(request: Request) -> dict[str, object]:
    if isinstance(request, PermissionRequested):
        return {
            "request_id": request.request_id,
            "permission": request.permission,
            "patterns": list(request.patterns),
            "answers": [choice.value for choice in PermissionChoice],
        }
    return {
        "request_id": request.request_id,
        "questions": [
            {
                "question": question.text,
                "options": [option.label for option in question.options],
                "is_multiple": question.is_multiple,
                "allows_free_text": question.allows_free_text,
            }
            for question in request.questions
        ],
    }


def _lines(request: Request) -> list[str]:
    if isinstance(request, PermissionRequested):
        patterns = ", ".join(request.patterns)
        what = request.title or f"{request.permission} {patterns}".strip()
        return [f"{request.request_id}: may the agent do this? {what}", "  once, always or reject"]
    lines = []
    for question in request.questions:
        lines.append(f"{request.request_id}: {question.text}")
        options = enumerate(question.options, start=1)
        lines.extend(f"  {number}. {option.label}" for number, option in options)
        if question.is_multiple:
            lines.append("  several may be chosen: 1,3")
    return lines
