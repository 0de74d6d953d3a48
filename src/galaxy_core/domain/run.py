"""What a dispatcher is asked to do, and the events by which it tells how it goes.

Events are facts about one run, in the order in which they happened.  The last one is always
`RunEnded`; nothing follows it.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

from attrs import field, frozen

from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.order import DEFAULT_COMMAND, Attachment
from galaxy_core.domain.response import Usage


@frozen(kw_only=True)
class RunLimits:
    """When a run is given up.  None switches a limit off."""

    total: timedelta | None = None
    """Whole time of the run, waiting for people excluded."""
    silence: timedelta | None = timedelta(minutes=10)
    """Time without any sign of life from agent or provider (a waiting question counts as one)."""
    steps: int | None = 500
    """Model steps in one run."""
    unknown_finishes: int | None = 20
    """Steps in a row that ended without a reason: a provider that answers with rubbish."""


@frozen(kw_only=True)
class RunRequest:
    """One message for an agent, with all that decides who answers it and how."""

    order_id: OrderId
    prompt: str
    """Reaches the agent byte for byte."""
    directory: Path
    """Folder in which the agent works; it exists."""
    command: str = DEFAULT_COMMAND
    agent: str | None = None
    model: str | None = None
    system: str | None = None
    """Added to the system prompt: who asks, from where, the project's preamble."""
    attachments: tuple[Attachment, ...] = ()
    limits: RunLimits = field(factory=RunLimits)
    title: str | None = None
    """Name of a new session, for people."""


# ---- events


@frozen(kw_only=True)
class RunStarted:
    """The agent has the message and works on it, under the names given."""

    session_id: str
    message_id: str
    agent: str | None = None
    model: str | None = None


@frozen(kw_only=True)
class TextAppended:
    """More of the answer; `part` changes when the agent begins a new piece of text."""

    text: str
    part: str


@frozen(kw_only=True)
class ReasoningAppended:
    """More of what the model thinks, where it shows it; never part of the answer."""

    text: str
    part: str


class ToolStatus(enum.StrEnum):
    """How far a tool call is."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@frozen(kw_only=True)
class ToolChanged:
    """A tool call began, went on, or ended."""

    call_id: str
    tool: str
    status: ToolStatus
    title: str = ""
    """One line for people: the command, the file."""
    detail: str = ""
    """The newest end of its output, or why it failed; at most a few kilobytes."""
    is_child: bool = False
    """Whether a sub-agent makes the call."""


@frozen(kw_only=True)
class Todo:
    """One item of the agent's own list."""

    content: str
    status: str
    """`pending`, `in_progress`, `completed` or `cancelled`."""
    priority: str = "medium"


@frozen(kw_only=True)
class TodosChanged:
    """The agent's list as it is now, whole."""

    todos: tuple[Todo, ...]


@frozen(kw_only=True)
class PermissionRequested:
    """The agent may not do something before a person allows it; it waits."""

    request_id: RequestId
    permission: str
    patterns: tuple[str, ...] = ()
    title: str = ""
    always: tuple[str, ...] = ()
    """What would be allowed from now on by the answer `always`."""


@frozen(kw_only=True)
class Option:
    """One answer that a question offers."""

    label: str
    description: str = ""


@frozen(kw_only=True)
class Question:
    """One thing the agent wants to know."""

    text: str
    header: str = ""
    options: tuple[Option, ...] = ()
    is_multiple: bool = False
    allows_free_text: bool = True


@frozen(kw_only=True)
class QuestionAsked:
    """The agent asks, and waits."""

    request_id: RequestId
    questions: tuple[Question, ...]


@frozen(kw_only=True)
class RequestResolved:
    """A permission request or a question no longer waits, however that came about."""

    request_id: RequestId
    how: str
    """`once`, `always`, `reject`, `answered`, `rejected`, `withdrawn`."""


@frozen(kw_only=True)
class UsageReported:
    """Tokens and cost of the run so far, whole."""

    usage: Usage


@frozen(kw_only=True)
class StepFinished:
    """The model ended one step (`stop`, `tool-calls`, `length`, ...)."""

    reason: str
    number: int


@frozen(kw_only=True)
class ProviderRetrying:
    """The model's provider failed and is tried again by the agent."""

    attempt: int
    message: str
    next_at: datetime | None = None


@frozen(kw_only=True)
class FilesChanged:
    """Files that the agent has written."""

    files: tuple[str, ...]


@frozen(kw_only=True)
class Noticed:
    """Something a person may want to know about the run, in one sentence."""

    message: str


class Verdict(enum.StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The agent or its provider says no; the same again would not help."""
    BROKEN_OFF = "broken_off"
    """It stopped in the middle for a passing reason; going on in the session may help."""
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class RunEnded:
    """The last event of a run."""

    verdict: Verdict
    text: str = ""
    """What the agent said, whole (Markdown); what there is of it when the run did not succeed."""
    reason: str | None = None
    """Why it did not succeed, in one sentence for people."""
    session_id: str | None = None
    usage: Usage = field(factory=Usage)
    retry_after: timedelta | None = None
    """With `BROKEN_OFF`: how long the provider asked us to wait."""


RunEvent: TypeAlias = (
    RunStarted
    | TextAppended
    | ReasoningAppended
    | ToolChanged
    | TodosChanged
    | PermissionRequested
    | QuestionAsked
    | RequestResolved
    | UsageReported
    | StepFinished
    | ProviderRetrying
    | FilesChanged
    | Noticed
    | RunEnded
)


# ---- answers of people


class PermissionChoice(enum.StrEnum):
    """What a person says to a permission request."""

    ONCE = "once"
    ALWAYS = "always"
    REJECT = "reject"


@frozen(kw_only=True)
class PermissionReply:
    """Answer to `PermissionRequested`."""

    choice: PermissionChoice
    message: str | None = None
    """With `REJECT`: what the agent should do instead; without one the turn ends."""


@frozen(kw_only=True)
class QuestionReply:
    """Answer to `QuestionAsked`: for each question the labels chosen, or free text."""

    answers: tuple[tuple[str, ...], ...]


@frozen(kw_only=True)
class QuestionRejected:
    """The person does not want to answer."""


Answer: TypeAlias = PermissionReply | QuestionReply | QuestionRejected


@frozen(kw_only=True)
class DispatcherHealth:
    """Whether an agent can take work, and what it says of itself."""

    is_ready: bool
    name: str
    version: str | None = None
    problem: str | None = None
    """What is wrong and what to do about it; None when nothing is."""
