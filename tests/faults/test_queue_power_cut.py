"""A simulated power cut: what the disk has at that moment is all that there is.

The queue works on a disk of its own (`disk_image`).  At a random moment the worker is stopped and
the disk copied.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from galaxy_core.testing.factories import make_ending
from galaxy_core.wire.layout import Layout
from tests.faults import queue_cycle
from tests.faults.disk_image import copy_of_one_moment, make_image, mounted
from tests.support import PROJECT_ROOT


@pytest.fixture
def image(folder: Path) -> Path:
    """Give an empty disk with a journal."""
    return make_image(folder / "disk")


def churn_and_cut(image: Path, copy: Path, seconds: float) -> tuple[set[str], set[str]]:
    """Work on the image, cut the power: the orders that were accepted, and that had ended."""
    with (
        mounted(image) as disk,
        subprocess.Popen(
            [sys.executable, "-m", "tests.faults.queue_process", "churn", disk / "repo"],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as worker,
    ):
        assert worker.stdout is not None
        lines = [worker.stdout.readline()]  # it is at work now
        time.sleep(seconds)
        os.kill(worker.pid, signal.SIGSTOP)
        copy_of_one_moment(image, copy)
        worker.kill()
        lines += worker.stdout.readlines()
    said = [json.loads(line) for line in lines]
    accepted = {order_id for step, order_id in said if step == "accepted"}
    return accepted, {order_id for step, order_id in said if step == "ended"}


async def recover(folder: Path) -> list[str]:
    """Work off what is left; the ids that came."""
    came = []
    async with queue_cycle.open_queue(folder) as queue:
        while (delivery := await queue.claim()) is not None:
            came.append(str(delivery.order.id))
            await queue.ack(delivery, make_ending())
    return came


@pytest.mark.parametrize("round_number", range(2))
def test_accepted_and_ended_orders_survive_a_power_cut(
    image: Path, folder: Path, round_number: int
) -> None:
    """What `enqueue` accepted is there, whole; what `ack` ended does not come again."""
    copy = folder / "disk after the cut"
    seconds = 0.3 + random.Random(round_number).random()
    accepted, ended = churn_and_cut(image, copy, seconds)
    assert len(accepted) > 10
    assert len(ended) > 5
    with mounted(copy) as disk:
        layout = Layout(disk / "repo")
        came = anyio.run(recover, layout.repo_path)
        archived = {path.stem: json.loads(path.read_bytes()) for path in layout.archive.iterdir()}
        aside = list(layout.corrupted.iterdir())
        left = [path.name for path in layout.orders.iterdir()]
    assert accepted - set(archived) == set(), "accepted orders are lost"
    assert ended & set(came) == set(), "ended orders came again"
    assert len(came) == len(set(came))
    assert all(order["acknowledged"] and order["payload"] for order in archived.values())
    assert aside == []
    assert left == []
