"""A folder that is copied while Hermes works through a stream of orders loses none of them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from galaxy_core.wire.layout import Layout
from tests.e2e.test_cli_hermes import BASE, GALAXY, HERMES, configure

PATIENCE_S = 60.0
COPIES = 2


def galaxy(folder: Path, *words: str) -> dict[str, Any]:
    """Run a command; its document."""
    done = subprocess.run(
        [*GALAXY, *words, "--json"],
        cwd=folder,
        env=BASE,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    document: dict[str, Any] = json.loads(done.stdout)
    return document


class Stream(threading.Thread):
    """Drops orders into the folder, a hundred a second."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.accepted: list[str] = []
        self.is_over = False

    def run(self) -> None:
        """Until it is over."""
        while not self.is_over:
            name = f"order-{len(self.accepted):05d}"
            order = {"payload": f"SAY {name}", "session": f"s{len(self.accepted) % 7}"}
            draft = self.layout.orders / f".{name}"
            draft.write_text(json.dumps(order))
            draft.rename(self.layout.orders / f"{name}.json")
            self.accepted.append(name)
            time.sleep(0.01)


def ids(layout: Layout) -> list[str]:
    """Orders that ended."""
    return sorted(path.stem for path in layout.archive.glob("*.json"))


def test_nothing_is_lost_in_a_copy_of_a_running_folder(tmp_path: Path) -> None:
    """Every order that was accepted before the copy is in it, and ends there exactly once."""
    home = tmp_path / "home"
    home.mkdir()
    configure(home)
    layout = Layout(home)
    layout.orders.mkdir(parents=True)
    with subprocess.Popen(
        [*HERMES], cwd=home, env=BASE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as hermes:
        stream = Stream(layout)
        stream.start()
        copies = []
        try:
            deadline = time.monotonic() + PATIENCE_S
            while len(ids(layout)) < 50:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            for number in range(COPIES):
                accepted = list(stream.accepted)
                file = tmp_path / f"copy-{number}.tar.gz"
                report = galaxy(home, "backup", str(file))
                assert report["files"] >= len(accepted)
                copies.append((file, accepted))
        finally:
            stream.is_over = True
            stream.join()
            hermes.send_signal(signal.SIGTERM)
            hermes.wait(PATIENCE_S)
    for file, accepted in copies:
        other = tmp_path / file.stem
        assert galaxy(home, "restore", str(file), "--into", str(other))["is_intact"]
        configure(other)
        subprocess.run(
            [sys.executable, "-m", "galaxy_apps.hermes", "--drain"],
            cwd=other,
            env=BASE,
            timeout=PATIENCE_S,
            check=True,
            capture_output=True,
        )
        there = Layout(other)
        ended = ids(there)
        assert set(accepted) <= set(ended)
        # No order became another one, under a number.
        assert set(ended) <= set(stream.accepted)
        assert all(there.response(order_id).exists() for order_id in ended)
        letters = sorted(path.stem for path in there.outbox.glob("*.json"))
        assert letters == [f"hermes-{order_id}" for order_id in ended]
        assert not list(there.orders.iterdir())
