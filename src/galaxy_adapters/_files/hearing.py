"""Whether the notices of a folder come at all: some shared folders have none, and say nothing.

Told by what a look at the whole folder finds that no notice announced.  A notice may just be on its
way, so what was found counts only when none has come by the look after.  And a look takes time:
what was announced meanwhile may be found by the next one only.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

from attrs import define, field

from galaxy_core.domain.incident import Incident, IncidentSeverity
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.incident_sink import IncidentSink

CALM = timedelta(minutes=5)
"""For so long all must have been announced before notices are trusted again."""


@define(eq=False)
class Hearing:
    """Compares the notices of one folder with what lies there, and tells people of a difference."""

    _folder: Path
    _clock: Clock
    _incidents: IncidentSink
    is_deaf: bool = field(default=False, init=False)
    """Whether files come without a notice, so that somebody has to look for them."""
    _announced: set[str] = field(factory=set, init=False)
    """Since the last look was judged."""
    _announced_before: frozenset[str] = field(default=frozenset(), init=False)
    """Between the two looks before; some of it came while the last one was under way."""
    _new: frozenset[str] = field(default=frozenset(), init=False)
    """What the last look found."""
    _doubtful: frozenset[str] = field(default=frozenset(), init=False)
    """What no notice had announced then."""
    _is_excused: bool = field(default=True, init=False)
    _missed_at: float = field(default=0.0, init=False)
    _has_heard: bool = field(default=False, init=False)

    @property
    def is_in_doubt(self) -> bool:
        """Whether the next look should be soon."""
        return self.is_deaf or bool(self._doubtful)

    def heard(self, name: str) -> None:
        """A notice came of a file that appeared or was written."""
        self._announced.add(name)
        self._has_heard = True

    def excuse(self) -> None:
        """The next look will find what nobody could announce: the first one, or after a loss."""
        self._is_excused = True

    def judge(self, new: Collection[str]) -> None:
        """A look at all of the folder found these to be new."""
        missed = self._doubtful - self._announced
        now = self._clock.monotonic()
        if missed and not self._is_excused:
            self._missed_at, self._has_heard = now, False
            if not self.is_deaf:
                self.is_deaf = True
                self._tell_deaf()
        elif self.is_deaf and self._has_heard and now - self._missed_at > CALM.total_seconds():
            self.is_deaf = False
            self._tell_well()
        known = self._announced | self._announced_before | self._new
        self._doubtful = frozenset() if self._is_excused else frozenset(new) - known
        self._new = frozenset(new)
        self._announced_before = frozenset(self._announced)
        self._announced.clear()
        self._is_excused = False

    def _tell_deaf(self) -> None:
        message = (
            f"Files come into {self._folder} without a notice from the system. It is looked at "
            'each second instead; set `network_folder` to "poll" if another system shares it.'
        )
        self._report("notices_lost", message, IncidentSeverity.WARNING)

    def _tell_well(self) -> None:
        message = f"Resolved: notices of files in {self._folder} come again."
        self._report("notices_back", message, IncidentSeverity.INFO)

    def _report(self, kind: str, message: str, severity: IncidentSeverity) -> None:
        # What comes and goes is told once a day.
        self._incidents.report(
            Incident(
                kind=kind,
                message=message,
                key=f"{kind}:{self._folder}:{self._clock.now().date().isoformat()}",
                severity=severity,
                is_for_people=True,
                data={"folder": self._folder.name},
            )
        )
