"""What the service manager is told."""

import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from galaxy_apps.notify import ServiceManager, service_manager


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    """Listen as systemd does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(5)
        yield ear


def test_each_word_is_one_datagram(ear: socket.socket) -> None:
    """`sd_notify`'s own form; a line break in a status would begin another field."""
    manager = service_manager({"NOTIFY_SOCKET": ear.getsockname()})
    manager.ready("hears\npeople")
    manager.alive()
    manager.status("2 at work")
    manager.stopping("on its way", timedelta(seconds=1.5))
    assert [ear.recv(4096).decode() for _ in range(4)] == [
        "READY=1\nSTATUS=hears people",
        "WATCHDOG=1",
        "STATUS=2 at work",
        "STOPPING=1\nSTATUS=on its way\nEXTEND_TIMEOUT_USEC=1500000",
    ]


def test_names_in_the_kernel_are_reached() -> None:
    """A container's manager may listen where no file is."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(f"\0galaxy-test-{os.getpid()}")
        ear.settimeout(5)
        service_manager({"NOTIFY_SOCKET": f"@galaxy-test-{os.getpid()}"}).alive()
        assert ear.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234"])
def test_without_a_manager_nothing_is_sent(address: str) -> None:
    """Daemons that are started by hand have nobody to tell."""
    manager = service_manager({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"})
    assert not manager.is_there
    assert manager.watchdog is None
    manager.ready("nobody hears this")


def test_a_manager_that_is_gone_is_no_failure(tmp_path: Path) -> None:
    """The daemon works on."""
    ServiceManager(address=str(tmp_path / "nobody")).alive()


@pytest.mark.parametrize(
    "variables, expected",
    [
        ({"WATCHDOG_USEC": "15000000"}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "15000000", "WATCHDOG_PID": str(os.getpid())}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "15000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_only_our_own_watchdog_counts(
    variables: dict[str, str], expected: timedelta | None
) -> None:
    """The variables are inherited by children, for whom they are not meant."""
    assert service_manager({"NOTIFY_SOCKET": "/run/x", **variables}).watchdog == expected
