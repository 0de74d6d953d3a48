"""kill -9 of a real process between every step from update to order."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from galaxy_core.testing.bot_api import BotApiServer
from tests.support import PROJECT_ROOT

SAID = ["comment", "forward", "album", "last"]


def _command(server: BotApiServer, folder: Path, step: int) -> list[str]:
    return [
        sys.executable,
        *("-m", "tests.integration.mortal_telegram"),
        *(str(folder), server.base_url, server.token, str(step)),
    ]


async def _life(server: BotApiServer, folder: Path, step: int) -> tuple[int, str]:
    with anyio.fail_after(60):
        ended = await anyio.run_process(
            _command(server, folder, step), cwd=PROJECT_ROOT, check=False, stderr=subprocess.STDOUT
        )
    return ended.returncode, ended.stdout.decode()


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_kills(tmp_path: Path) -> None:
    """Wherever it dies, after a restart everything that people wrote is in exactly one order."""
    step = 0
    while True:
        step += 1
        folder = tmp_path / str(step)
        orders = folder / "orders"
        orders.mkdir(parents=True)
        async with BotApiServer() as server:
            ann = server.person("Ann")
            ann.forwards("forward", comment="comment")
            ann.sends_album([("document", "a.txt", b"a"), ("document", "b.txt", b"b")], "album")
            ann.writes("last")
            code, output = await _life(server, folder, step)
            has_died = code == -signal.SIGKILL
            if has_died:
                ann.writes("end")
                code, output = await _life(server, folder, 0)
        assert code == 0, f"step {step}: {output}"
        assert json.loads(output) == {"open": []}, f"step {step}"
        told = sorted(text for path in orders.iterdir() for text in json.loads(path.read_text()))
        assert told == sorted([*SAID, "end"] if has_died else SAID), f"step {step}"
        if not has_died:
            break
    assert step > 25
