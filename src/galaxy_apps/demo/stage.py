"""What the demo needs around it: a sample project, the programs it starts, and their end."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from attrs import define, field

from galaxy_core.testing.opencode_project import (
    MODEL,
    private_environment,
    write_opencode_project,
)

MACHINE = "production"
"""The machine's name in the guide's order."""
README = """# Sample project

Hermes works on this folder. Drop an order into `.sisyphus/notepads/galaxy-orders/`:

    cat > .sisyphus/notepads/galaxy-orders/hello.json <<END
    {"type": "galaxy_order", "from": "me", "target": "production", "command": "general",
     "payload": "What is in this folder?", "acknowledged": false}
    END
"""
STOP_SECONDS = 40.0


def make_project(folder: Path, *, is_demo: bool) -> Path:
    """Make the sample project, or freshen the one that is there; the settings' path."""
    project = folder / "project"
    project.mkdir(parents=True, exist_ok=True)
    readme = project / "README.md"
    if not readme.exists():
        readme.write_text(README, encoding="utf-8")
    if shutil.which("git") and not (project / ".git").exists():
        # A repository of its own: else opencode takes the folder around it for the project.
        subprocess.run(["git", "init", "--quiet", str(project)], check=False, capture_output=True)  # noqa: S607 - the person's git
    settings = project / ".galaxy" / "config.json"
    settings.parent.mkdir(mode=0o700, exist_ok=True)
    content = {
        "default_machine": MACHINE,
        "machines": {
            MACHINE: {"host": "localhost", "repo_path": str(project), "machine_name": MACHINE}
        },
        "dispatcher": "opencode-server",
        "demo": is_demo,
    }
    if not is_demo:
        # Left by an earlier demo, it would lead to a model that is not there.
        written = project / "opencode.json"
        if written.exists() and f'"{MODEL}"' in written.read_text(encoding="utf-8"):
            written.unlink()
    settings.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    settings.chmod(0o600)
    return settings


def _die_with_parent() -> None:
    """In the child: end when the demo is killed, so that nothing of it is left (Linux)."""
    pr_set_pdeathsig = 1
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


@define
class Stage:
    """The processes of one demo."""

    folder: Path
    environment: Mapping[str, str]
    _children: list[subprocess.Popen[str]] = field(factory=list, init=False)
    _model: subprocess.Popen[str] | None = field(default=None, init=False)

    @property
    def has_model(self) -> bool:
        """Whether the scripted model runs."""
        return self._model is not None and self._model.poll() is None

    def start_model(self) -> None:
        """Start the scripted model and let opencode see nothing else."""
        # The same port as last time: an opencode server that outlived a killed demo goes on there.
        kept = self.folder / "model-port"
        port = kept.read_text(encoding="utf-8").strip() if kept.exists() else ""
        url = self._listening_model(port if port.isdigit() else "0") or self._listening_model("0")
        if url is None:
            raise RuntimeError("the scripted model did not start")
        kept.write_text(str(urlsplit(url).port), encoding="utf-8")
        write_opencode_project(self.folder / "project", url)
        self.environment = demo_environment(self.folder, self.environment)

    def _listening_model(self, port: str) -> str | None:
        """Start the scripted model on a port; its address, None when the port is taken."""
        command = [sys.executable, "-m", "galaxy_core.testing.scripted_llm", "--port", port]
        child = self._start(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        line = child.stdout.readline() if child.stdout else ""
        word, _, url = line.strip().partition(" ")
        if word != "listening":
            return None
        self._model = child
        return url

    def start_up(self, *, is_demo: bool) -> str | None:
        """Start `galaxy up` on a free port; its address, None where it did not come up.

        What else it says goes to `up.log`.
        """
        command = [sys.executable, "-m", "galaxy_apps.demo", "--folder", str(self.folder)]
        command += ["--port", "0", "--no-browser", *(["--scripted"] if is_demo else [])]
        with (self.folder / "up.log").open("a", encoding="utf-8") as log:
            child = self._start(command, stdout=subprocess.PIPE, stderr=log.fileno())
        for line in child.stdout or ():
            words = line.split()
            if words and words[-1].startswith("http://"):
                return words[-1]
        return None

    def stop(self) -> None:
        """End everything that was started, the last first."""
        for child in reversed(self._children):
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()

    def _start(
        self, command: list[str], *, stdout: int, stderr: int | None = None
    ) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=dict(self.environment),
            text=True,
            # The terminal's Ctrl-C is for the demo; it stops the others in its own order.
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call that takes no lock
        )
        self._children.append(child)
        return child


def demo_environment(folder: Path, base: Mapping[str, str]) -> dict[str, str]:
    """What the demo's programs are started with: nothing of the person's own but PATH and such."""
    kept = {name: value for name, value in base.items() if name == "GALAXY_OPENCODE_BIN"}
    return private_environment(folder / "home", base) | kept


def own_environment() -> dict[str, str]:
    """The environment that the demo was started in."""
    return dict(os.environ)  # noqa: TID251 - it is handed on to programs, not read for settings
