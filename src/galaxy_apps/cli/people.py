"""`galaxy pair` and `galaxy people list|remove`: who may talk to the bot.

Works beside a gateway that runs, which looks people up each time, and without one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galaxy_apps.cli.output import one_line, print_json, print_table, warn, write
from galaxy_apps.cli.place import local_time, operator, run
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.home import Home
from galaxy_apps.settings import load
from galaxy_core.domain.people import Person, Role


def pair(*, config: Path | None, code: str, role: str | None, is_json: bool) -> ExitCode:
    """Let in who was shown the code; they are told in their chat."""
    from galaxy_core.services.gateway.pairing import PairingFailed

    home = _home(config)

    async def work() -> Person:
        async with home.notes() as notes:
            return await home.pairing(notes).confirm(
                code, by=operator(), role=Role(role) if role else None
            )

    try:
        person = run(work)
    except PairingFailed as error:
        warn(f"galaxy: {error}")
        return ExitCode.NOT_FOUND
    if is_json:
        print_json(_document(person, is_named=False))
    else:
        write(f"{one_line(_called(person))} is in as {person.role.value}.")
    return ExitCode.OK


def list_people(*, config: Path | None, is_json: bool) -> ExitCode:
    """Print everybody on the list, those of the settings first."""
    home = _home(config)

    async def work() -> Sequence[Person]:
        async with home.notes() as notes:
            return await home.roster(notes).people()

    people = run(work)
    named = set(home.named_people())
    if is_json:
        print_json({"people": [_document(each, is_named=each in named) for each in people]})
    elif not people:
        write("Nobody. Write /start to the bot, then `galaxy pair CODE` with what it shows.")
    else:
        print_table(
            ("ID", "CHANNEL", "ROLE", "NAME", "SINCE"),
            [
                (
                    person.id,
                    person.channel,
                    person.role.value,
                    person.name,
                    "(settings)" if person in named else local_time(person.since),
                )
                for person in people
            ],
            elastic=3,
        )
    return ExitCode.OK


def remove(*, config: Path | None, person: str, channel: str, is_json: bool) -> ExitCode:
    """Take somebody off the list who was let in by pairing."""
    from galaxy_core.domain.audit import AuditSeverity, AuditType

    home = _home(config)
    if any((each.channel, each.id) == (channel, person) for each in home.named_people()):
        warn(
            f"galaxy: {person} is in the settings: take it out of authorized_users there and "
            "start the gateway again."
        )
        return ExitCode.FAILURE

    async def work() -> bool:
        async with home.notes() as notes:
            if not await home.roster(notes).remove(channel, person):
                return False
            trail = home.trail()
            await trail.record(
                trail.event(
                    AuditType.PERSON_REMOVED,
                    severity=AuditSeverity.WARNING,
                    channel=channel,
                    person=person,
                    by=operator(),
                )
            )
            return True

    was_removed = run(work)
    if is_json:
        print_json({"channel": channel, "id": person, "was_removed": was_removed})
    elif was_removed:
        write(f"{person} is off the list.")
    if not was_removed:
        warn(
            f"galaxy: there is no {person!r} of {channel} on the list; "
            "`galaxy people list` shows who is."
        )
        return ExitCode.NOT_FOUND
    return ExitCode.OK


def _home(config: Path | None) -> Home:
    from galaxy_apps.logging import configure_logging

    home = Home(load(config))
    configure_logging(level="WARNING", secrets=home.configuration.settings.secrets())
    return home


def _called(person: Person) -> str:
    return f"{person.name} ({person.id})" if person.name else person.id


def _document(person: Person, *, is_named: bool) -> dict[str, Any]:
    return {
        "channel": person.channel,
        "id": person.id,
        "role": person.role.value,
        "name": person.name or None,
        "since": person.since,
        "is_from_settings": is_named,
    }
