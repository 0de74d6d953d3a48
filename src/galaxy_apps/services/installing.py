"""Putting unit files where the manager finds them, and taking them away again.

Every file is written whole or not at all.  What is left when this dies in the middle is a set of
files that the next `install` completes or the next `uninstall` takes away.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from attrs import define

from galaxy_adapters._files import replace_atomically
from galaxy_apps.services.plan import FILES, Plan, Service
from galaxy_apps.services.rendering import mark_of
from galaxy_apps.services.systemd import Systemd
from galaxy_core.domain.errors import PermanentError, StorageUnavailable


class NotOurs(PermanentError):
    """A file of that name is somebody else's, was changed by hand, or belongs to other settings."""


def make_folders(folders: Sequence[Path], owner: tuple[int, int]) -> None:
    """Make what is not there yet, as the owner: in root's folders no service could write.

    Raises `StorageUnavailable`.
    """
    user, group = owner
    if os.geteuid() != 0 or user == 0:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        return
    # With the owner's rights alone, so that no link of theirs leads root elsewhere.
    done = subprocess.run(
        ("/bin/mkdir", "-p", "--", *map(str, folders)),
        cwd="/",
        user=user,
        group=group,
        extra_groups=(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        raise StorageUnavailable(
            f"The owner of the project (user {user}) cannot make its folders: {done.stderr.strip()}"
        )


@define
class Installer:
    """Installs, or only says what it would do."""

    _systemd: Systemd
    _say: Callable[[str], None]
    _is_dry: bool = False

    # ---- there

    def install(self, plan: Plan, services: Sequence[Service]) -> None:
        """Write, enable and start; what is right already stays as it is.

        Raises `NotOurs`, `ServiceCommandFailed`, `StorageUnavailable`.
        """
        texts = {file: plan.text(file) for service in services for file in service.files}
        for service in services:
            for file in FILES[service.name]:
                self._require_ours(file, str(plan.config))
        if not self._is_dry:
            make_folders(plan.writable, plan.owner)
        self._drop_old(services)
        changed = {file for file, text in texts.items() if self._put(file, text)}
        if changed:
            self._do("daemon-reload")
        units = [unit for service in services for unit in service.units]
        self._do("enable", "--quiet", *units)
        new = [unit for s in services if not changed.isdisjoint(s.files) for unit in s.units]
        self._do("restart", *new)  # starts what does not run
        self._do("start", *(unit for unit in units if unit not in new))

    def _require_ours(self, file: str, owner: str) -> None:
        path = self._systemd.folder / file
        if not path.exists():
            return
        mark = mark_of(path.read_text(encoding="utf-8", errors="replace"))
        if mark is None:
            raise NotOurs(f"{path} was not written by `galaxy services`; move it away first.")
        if mark.owner != owner:
            raise NotOurs(
                f"{path} is installed for {mark.owner}; run "
                f"`galaxy services uninstall{self._systemd.option}` first. "
                "One set of services serves one settings file, which may name several machines."
            )
        if not mark.is_unchanged:
            raise NotOurs(
                f"{path} was changed by hand: put the changes into a drop-in (`systemctl edit`), "
                "and remove it."
            )

    def _put(self, file: str, text: str) -> bool:
        """Write a file if it is not so already; whether it was another one."""
        path = self._systemd.folder / file
        if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
            return False
        self._say(f"write {path}")
        if not self._is_dry:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_atomically(path, text.encode(), mode=0o644)
        return True

    def _drop_old(self, services: Sequence[Service]) -> None:
        """End what an earlier install needed and this one does not: machines that are gone."""
        for service in services:
            ours, _ = self.found([service.name])
            known = {unit for file in ours for unit in self.units_of(file)}
            stale = [file for file in ours if file.name not in service.files]
            keeps_template = any(file.name in service.files and "@." in file.name for file in ours)
            self._take_down(known - {*service.units} if stale or keeps_template else ())
            self._remove(stale)

    # ---- and back

    def uninstall(self, names: Sequence[str]) -> bool:
        """Stop, disable and remove what `install` wrote; whether all of it could be removed."""
        ours, others = self.found(names)
        for file in others:
            self._say(f"leave {file}: it was not written here, or was changed by hand")
        self._take_down({unit for file in ours for unit in self.units_of(file)})
        self._remove(ours)
        return not others

    def found(self, names: Sequence[str] = ()) -> tuple[list[Path], list[Path]]:
        """Files of these services (of all, without names): ours, and those that are not."""
        ours: list[Path] = []
        others: list[Path] = []
        for path in (self._systemd.folder / f for name in names or FILES for f in FILES[name]):
            if path.is_file():
                mark = mark_of(path.read_text(encoding="utf-8", errors="replace"))
                (ours if mark is not None and mark.is_unchanged else others).append(path)
        return ours, others

    @property
    def installed(self) -> frozenset[str]:
        """Services of which a file of ours is there."""
        return frozenset(name for name in FILES if self.found([name])[0])

    def units_of(self, file: Path) -> tuple[str, ...]:
        """What runs from a file: itself, or the instances of a template."""
        if "@." not in file.name:
            return (file.name,)
        pattern = file.name.replace("@.", "@*.")
        enabled = (link.name for link in self._systemd.folder.glob(f"*.wants/{pattern}"))
        return tuple(dict.fromkeys((*self._systemd.units(pattern), *enabled)))

    def _take_down(self, units: Iterable[str]) -> None:
        ended = sorted(units)
        for unit in ended:
            self._do("disable", "--quiet", "--now", unit)
        # The manager would go on listing them, and call itself degraded.
        failed = self._systemd.units(*ended, state="failed") if ended else ()
        self._do("reset-failed", *failed)

    def _remove(self, files: Sequence[Path]) -> None:
        for file in files:
            self._say(f"remove {file}")
            if not self._is_dry:
                file.unlink(missing_ok=True)
        if files:
            self._do("daemon-reload")

    def _do(self, verb: str, *words: str) -> None:
        """A command of the manager; one that takes units is left out where there are none."""
        if verb != "daemon-reload" and not [word for word in words if not word.startswith("--")]:
            return
        if self._is_dry:
            self._say(" ".join((*self._systemd.words, verb, *words)))
        else:
            self._systemd.do(verb, *words)
