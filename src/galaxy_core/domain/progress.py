"""The sum of a run's events: what a person sees of an order that runs."""

from __future__ import annotations

from attrs import evolve

from galaxy_core.domain.operations import Progress, ProgressItem
from galaxy_core.domain.run import (
    FilesChanged,
    Noticed,
    PermissionRequested,
    ProviderRetrying,
    QuestionAsked,
    ReasoningAppended,
    RequestResolved,
    RunEnded,
    RunEvent,
    RunStarted,
    StepFinished,
    TextAppended,
    TodosChanged,
    ToolChanged,
    ToolStatus,
    UsageReported,
)


def add_to_progress(progress: Progress, item: ProgressItem) -> Progress:
    """Where the order stands after one more event; events are added in the order of their numbers.

    A run that starts after the last one ended (the order is tried again) goes on in the same
    progress.
    """
    progress = evolve(progress, updated_at=item.at)
    if progress.started_at is None:
        progress = evolve(progress, started_at=item.at)
    return _after(progress, item.event)


def _after(progress: Progress, event: RunEvent) -> Progress:  # noqa: C901, PLR0911 - one case per event
    match event:
        case RunStarted():
            return evolve(progress, is_over=False, tool=None, waiting_for=())
        case TextAppended():
            return _with_text(progress, event)
        case ToolChanged():
            return _with_tool(progress, event)
        case TodosChanged():
            return evolve(progress, todos=event.todos)
        case PermissionRequested() | QuestionAsked():
            others = _waiting_without(progress, event.request_id)
            return evolve(progress, waiting_for=(*others, event))
        case RequestResolved():
            return evolve(progress, waiting_for=_waiting_without(progress, event.request_id))
        case UsageReported():
            return evolve(progress, usage=event.usage)
        case StepFinished():
            return evolve(progress, steps=event.number, note=None)
        case ProviderRetrying():
            return evolve(progress, note=f"Try {event.attempt}: {event.message}")
        case Noticed():
            return evolve(progress, note=event.message)
        case RunEnded():
            return evolve(
                progress,
                text=event.text or progress.text,
                part=None,
                tool=None,
                usage=event.usage if event.usage.total_tokens else progress.usage,
                waiting_for=(),
                note=event.reason,
                is_over=True,
            )
        case ReasoningAppended() | FilesChanged():
            return progress


def _with_text(progress: Progress, event: TextAppended) -> Progress:
    is_new_piece = bool(progress.text) and progress.part != event.part
    gap = "\n\n" if is_new_piece else ""
    return evolve(progress, text=progress.text + gap + event.text, part=event.part)


def _with_tool(progress: Progress, event: ToolChanged) -> Progress:
    is_running = event.status is ToolStatus.RUNNING
    return evolve(progress, tool=(event.title or event.tool) if is_running else None)


def _waiting_without(
    progress: Progress, request_id: str
) -> tuple[PermissionRequested | QuestionAsked, ...]:
    return tuple(r for r in progress.waiting_for if r.request_id != request_id)
