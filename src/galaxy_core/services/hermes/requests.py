"""From an order to what the agent is asked: who answers it, where, with which words around it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from attrs import evolve

from galaxy_core.domain.delivery import TicketKind
from galaxy_core.domain.order import Attachment, Order
from galaxy_core.domain.run import RunLimits, RunRequest
from galaxy_core.domain.session import Session
from galaxy_core.services.hermes.config import HermesConfig, ProjectConfig

CONTINUATION_PROMPT = (
    "Your work on my last request was interrupted before it was finished; nothing about the "
    "request has changed. Look at what you have already done, go on from there, and do not "
    "repeat steps that are complete. Then give the answer to that request."
)
TITLE_CHARACTERS = 60


def build_request(
    order: Order,
    session: Session | None,
    config: HermesConfig,
    kind: TicketKind,
    outgoing: Path | None = None,
) -> RunRequest:
    """The message for the agent; `outgoing` is where it puts files for the person, if anywhere.

    Agent and model: the order's own choice, else the conversation's, else the project's; the
    settings' defaults are the dispatcher's matter.  The payload goes in untouched.
    """
    project = config.projects.get(order.project or "", ProjectConfig())
    directory = project.directory or config.directory
    is_prompt = kind is TicketKind.PROMPT
    return RunRequest(
        order_id=order.id,
        prompt=order.payload if is_prompt else CONTINUATION_PROMPT,
        directory=directory,
        # A slash command is expanded once, with the prompt; going on needs only the agent.
        command=order.command if is_prompt else "general",
        agent=order.agent or (session.agent if session else None) or project.agent,
        model=order.model or (session.model if session else None) or project.model,
        system=_system_text(order, project, config, outgoing),
        attachments=tuple(_located(a, config.directory) for a in order.media) if is_prompt else (),
        limits=_limits(order, config),
        title=" ".join(order.payload.split())[:TITLE_CHARACTERS] or str(order.id),
    )


def _limits(order: Order, config: HermesConfig) -> RunLimits:
    limits = config.run_limits
    if order.timeout is not None and order.timeout > timedelta(0):
        limits = evolve(limits, total=order.timeout)
    return limits


def _located(attachment: Attachment, directory: Path) -> Attachment:
    """Relative paths are meant from the machine's folder."""
    if attachment.path is None:
        return attachment
    return evolve(attachment, path=str(directory / attachment.path))


def _system_text(
    order: Order, project: ProjectConfig, config: HermesConfig, outgoing: Path | None
) -> str | None:
    """Who asked, from where, and the project's preamble, as the setting allows; where files go."""
    lines = []
    if config.tells_who_asked and order.sender:
        lines.append(f"This request comes from {order.sender}.")
    if config.tells_who_asked and order.channel:
        lines.append(f"It reached this machine through {order.channel}.")
    if config.tells_who_asked and project.preamble:
        lines.append(project.preamble)
    if outgoing is not None:
        lines.append(
            f"Files that the person shall get with your answer: put them into {outgoing} (it "
            "exists; nothing else is sent from this machine)."
        )
    return "\n".join(lines) or None
