"""`galaxy sessions list|reset`."""

from __future__ import annotations

from pathlib import Path

from galaxy_apps.cli.output import print_json, print_table, warn, write
from galaxy_apps.cli.place import local_time, open_place, operator, run
from galaxy_apps.exit_codes import ExitCode
from galaxy_core.domain.ids import ConversationKey


def list_sessions(*, config: Path | None, machine: str | None, is_json: bool) -> ExitCode:
    """Print all conversations, the one used last first."""
    place = open_place(config, machine)
    sessions = run(place.sessions().list)
    if is_json:
        print_json(
            {
                "sessions": [
                    {
                        "conversation": session.conversation,
                        "session_id": session.session_id,
                        "updated_at": session.updated_at,
                        "dispatcher": session.dispatcher,
                        "agent": session.agent,
                        "model": session.model,
                    }
                    for session in sessions
                ]
            }
        )
    elif not sessions:
        write(f"No conversations in {place.machine.repo_path}.")
    else:
        print_table(
            ("CONVERSATION", "SESSION", "USED", "AGENT", "MODEL"),
            [
                (
                    session.conversation,
                    session.session_id or "(new)",
                    local_time(session.updated_at),
                    session.agent or "",
                    session.model or "",
                )
                for session in sessions
            ],
            elastic=0,
        )
    return ExitCode.OK


def reset(
    *, config: Path | None, machine: str | None, conversation: str, is_json: bool
) -> ExitCode:
    """Forget a conversation's session, so that its next order begins a new one."""
    from galaxy_apps.logging import configure_logging
    from galaxy_core.domain.audit import AuditType
    from galaxy_core.services.trail import Trail

    place = open_place(config, machine)
    configure_logging(level="WARNING", secrets=place.settings.secrets())

    async def work() -> bool:
        if not await place.sessions().reset(ConversationKey(conversation)):
            return False
        trail = Trail(place.audit_sink(), place.clock(), place.machine.name)
        await trail.record(
            trail.event(AuditType.SESSION_RESET, conversation=conversation, by=operator())
        )
        return True

    was_reset = run(work)
    if is_json:
        print_json({"conversation": conversation, "was_reset": was_reset})
    elif was_reset:
        write(f"The next order of {conversation} begins a new session.")
    if not was_reset:
        warn(
            f"galaxy: there is no session of {conversation!r}; "
            "`galaxy sessions list` shows what there is."
        )
        return ExitCode.NOT_FOUND
    return ExitCode.OK
