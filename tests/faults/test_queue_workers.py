"""Several worker processes over one folder: contending, frozen, killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from galaxy_core.testing.factories import make_order
from galaxy_core.wire.layout import Layout
from galaxy_core.wire.order import encode_order
from tests.faults.queue_process import LEASE
from tests.support import PROJECT_ROOT

ORDERS = 2_000
WORKERS = 4


@contextmanager
def worker(what: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a worker process, ended at the latest with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.queue_process", what, folder],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> list[str]:
    """What the process says next."""
    assert process.stdout is not None
    return list(json.loads(process.stdout.readline()))


def tell(process: subprocess.Popen[str]) -> None:
    """Let it go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def drop(folder: Path, *order_ids: str) -> None:
    """Drop orders in by hand."""
    orders = Layout(folder).orders
    orders.mkdir(parents=True, exist_ok=True)
    for order_id in order_ids:
        order = make_order(id=order_id, session=f"talk-{hash(order_id) % 50}")
        (orders / f"{order_id}.json").write_bytes(encode_order(order))


def test_no_order_is_given_to_two_workers(folder: Path) -> None:
    """Four processes that grab as fast as they can never hold the same order."""
    drop(folder, *(f"o{number}" for number in range(ORDERS)))
    with (
        worker("drain", folder) as a,
        worker("drain", folder) as b,
        worker("drain", folder) as c,
        worker("drain", folder) as d,
    ):
        crew = (a, b, c, d)
        assert [heard(process)[0] for process in crew] == ["open"] * WORKERS
        for process in crew:
            tell(process)
        shares = [[json.loads(line)[1] for line in process.stdout or ()] for process in crew]
    claims = Counter(order_id for share in shares for order_id in share)
    assert [order_id for order_id, times in claims.items() if times > 1] == []
    assert len(claims) == ORDERS
    assert all(shares), "one of the workers got nothing"


def test_frozen_worker_loses_its_order_and_is_told(tmp_path: Path) -> None:
    """SIGSTOP: another worker has the order after the lease; the thawed one may not end it."""
    drop(tmp_path, "a")
    with worker("hold", tmp_path) as frozen:
        assert heard(frozen)[0] == "open"
        assert heard(frozen) == ["claimed", "a"]
        os.kill(frozen.pid, signal.SIGSTOP)
        with worker("hold", tmp_path) as survivor:
            assert heard(survivor)[0] == "open"
            assert heard(survivor) == ["claimed", "a"]
            os.kill(frozen.pid, signal.SIGCONT)
            tell(frozen)
            assert heard(frozen) == ["lost", "a"]
            tell(survivor)
            assert heard(survivor) == ["ended", "a"]


def test_killed_workers_order_is_there_at_once(tmp_path: Path) -> None:
    """SIGKILL: the kernel's lock tells, so nobody has to wait for a lease."""
    drop(tmp_path, "a")
    with worker("hold", tmp_path) as victim:
        assert heard(victim)[0] == "open"
        assert heard(victim) == ["claimed", "a"]
        with worker("hold", tmp_path) as survivor:
            assert heard(survivor)[0] == "open"
            begun = time.monotonic()
            os.kill(victim.pid, signal.SIGKILL)
            assert heard(survivor) == ["claimed", "a"]
            assert time.monotonic() - begun < LEASE.total_seconds()


@pytest.mark.skipif(sys.platform != "linux", reason="macOS has no /proc")
def test_agent_that_outlives_its_worker_does_not_keep_the_lock(tmp_path: Path) -> None:
    """A child process of the worker inherits no lock: the worker's death is seen all the same."""
    drop(tmp_path, "a")
    with worker("hold", tmp_path) as victim:
        assert heard(victim)[0] == "open"
        locks = list((Layout(tmp_path).queue_state / "workers").glob("*.lock"))
        assert len(locks) == 1
        held = [
            link
            for link in Path(f"/proc/{victim.pid}/fd").iterdir()
            if link.resolve() == locks[0].resolve()
        ]
        assert len(held) == 1
        flags = Path(f"/proc/{victim.pid}/fdinfo/{held[0].name}").read_text("ascii")
        octal = next(line.split()[1] for line in flags.splitlines() if line.startswith("flags"))
        assert int(octal, 8) & os.O_CLOEXEC
