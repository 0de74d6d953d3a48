"""What people can say with a slash in front: the list of commands, and who carries them out."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define

from galaxy_core.domain.audit import AuditType
from galaxy_core.domain.message import InboundMessage
from galaxy_core.domain.people import Deed, Role, may
from galaxy_core.ports.command_menu import MenuEntry
from galaxy_core.services.gateway.commands import looking, people, steering
from galaxy_core.services.gateway.commands.call import Call, Command, Tools
from galaxy_core.services.gateway.refusing import refuse
from galaxy_core.services.gateway.replies import Replies
from galaxy_core.services.gateway.slash import command_of
from galaxy_core.services.trail import Trail

__all__ = ["COMMANDS", "Command", "CommandDesk", "Tools", "command_of", "help_text", "menu_for"]


ORDER = "order"
CHANGED = "You changed a command. I carry out only what is sent: please send it as a new message."


async def _help(call: Call) -> str:
    return help_text(call.role)


COMMANDS = (
    Command(name="help", description="What I can do", run=_help),
    Command(
        name=ORDER,
        description="Give an order to a machine, or to all",
        run=steering.order,
        deed=Deed.ORDER,
        usage="[machine|all] TEXT",
    ),
    Command(
        name="status", description="How the machines are", run=looking.status, usage="[machine|all]"
    ),
    Command(name="machines", description="Which machines there are", run=looking.machines),
    Command(name="queue", description="What waits and what runs", run=looking.queue),
    Command(
        name="cancel",
        description="Stop what runs here, or an order",
        run=steering.cancel,
        deed=Deed.STEER_OWN,
        usage="[id]",
    ),
    Command(
        name="retry",
        description="Run an order that failed once more",
        run=steering.retry,
        deed=Deed.STEER_OWN,
        usage="[id]",
    ),
    Command(
        name="dismiss",
        description="Take an order that was given up off the list",
        run=steering.dismiss,
        deed=Deed.STEER_OWN,
        usage="[id]",
    ),
    Command(
        name="new",
        description="Begin a new session",
        run=steering.new,
        deed=Deed.ORDER,
    ),
    Command(name="sessions", description="Conversations and their sessions", run=steering.sessions),
    Command(
        name="machine",
        description="Choose this conversation's machine",
        run=steering.machine,
        deed=Deed.ORDER,
        usage="[name]",
    ),
    Command(
        name="agent",
        description="Choose the agent",
        run=steering.agent,
        deed=Deed.ORDER,
        usage="[name]",
    ),
    Command(
        name="model",
        description="Choose the model",
        run=steering.model,
        deed=Deed.ORDER,
        usage="[provider/model]",
    ),
    Command(
        name="project",
        description="Choose the project",
        run=steering.project,
        deed=Deed.ORDER,
        usage="[name]",
    ),
    Command(name="history", description="The last orders here", run=looking.history, usage="[id]"),
    Command(name="alerts", description="Warnings and errors", run=looking.alerts),
    Command(name="whoami", description="Who you are to me", run=looking.whoami),
    Command(
        name="pair",
        description="Let a person in",
        run=people.pair,
        deed=Deed.ADMIT,
        usage="CODE [role]",
    ),
    Command(name="start", description="Say hello", run=people.start),
)
_BY_NAME = {command.name: command for command in COMMANDS}


_MARKS = (
    "Anything else you write is an order. In it, 🔴 or ⚡ makes it urgent, 🔵 lets others go "
    "first, ⏰2h lets it wait for two hours, and #name says which project it is for."
)


def is_quick(text: str) -> bool:
    """Whether the text is a command that may be carried out before what came earlier."""
    found = command_of(text)
    command = _BY_NAME.get(found[0]) if found else None
    return command is not None and command.is_quick


def menu_for(role: Role | None) -> Sequence[MenuEntry]:
    """What somebody with that role is shown."""
    if role is None:
        return [MenuEntry("start", "Ask to be let in")]
    return [
        MenuEntry(command.name, command.description)
        for command in COMMANDS
        if may(role, command.deed) and command.name != "start"
    ]


def help_text(role: Role) -> str:
    """The commands somebody with that role may use."""
    lines = [
        f"`/{command.name}{' ' + command.usage if command.usage else ''}` {command.description}"
        for command in COMMANDS
        if may(role, command.deed)
    ]
    if may(role, Deed.ORDER):
        lines += ["", _MARKS]
    return "\n".join(lines)


@define
class CommandDesk:
    """Carries commands out and answers them."""

    _tools: Tools
    _replies: Replies
    _trail: Trail

    async def run(self, message: InboundMessage, role: Role) -> bool:
        """Carry the message out, if it is a command; False when it is none.

        Raises `TransientError` when it has to be tried again later.
        """
        found = command_of(message.text)
        if found is None:
            return False
        name, arguments = found
        command = _BY_NAME.get(name)
        if message.is_edit and (command is None or command.name != ORDER):
            await refuse(self._trail, self._replies, message, CHANGED)
            return True
        if command is None:
            await refuse(
                self._trail,
                self._replies,
                message,
                f"I know no command `/{name}`. /help lists them all.",
            )
            return True
        if not may(role, command.deed):
            await refuse(
                self._trail,
                self._replies,
                message,
                f"/{name} is not for a {role.value}: ask an owner.",
            )
            return True
        call = Call(message=message, arguments=arguments, role=role, tools=self._tools)
        answer = await command.run(call)
        if answer is not None:
            await self._replies.say(message, answer)
        used = self._trail.event(
            AuditType.COMMAND_USED,
            command=name,
            key=message.key,
            channel=message.channel,
            chat_id=message.chat_id,
            person=message.sender_id,
        )
        if command.deed is Deed.LOOK:
            await self._trail.try_record(used)
        else:
            await self._trail.record(used)
        if command.deed is Deed.STEER_OWN:
            await self._tools.ports.notes.close(steering.MEANT, [message.key])
        return True
