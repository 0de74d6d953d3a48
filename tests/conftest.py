"""Fixtures for every test, and the bounds within which every test ends."""

import faulthandler
import os
from collections.abc import Generator

import hypothesis
import pytest
import structlog

# One plain line a record: the default renderer spends seconds on drawing a traceback.
structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.format_exc_info,
        structlog.processors.LogfmtRenderer(),
    ]
)

# In CI (the variable CI is set) hypothesis loads its own profile "ci": the same examples in every
# run, so that a push fails for what it changes.  On laptops it looks for new ones.
hypothesis.settings.register_profile("shrink", hypothesis.settings.get_profile("default"))

_BACKSTOP_SECONDS = 20.0
"""So much longer than its timeout a test may take to fail before all of the run is ended."""
_STDERR = pytest.StashKey[int]()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio only: python-telegram-bot knows no other event loop."""
    return "asyncio"


def pytest_configure(config: pytest.Config) -> None:
    """Keep the real stderr: what is written to a captured one is lost when the process ends."""
    config.stash[_STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Give it back."""
    os.close(config.stash[_STDERR])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """End the run, saying where every thread is, when a test outlives its timeout.

    The timeout is an exception in the main thread: some code takes it for an ordinary failure
    and goes on, and a thread that waits in the kernel never sees it.
    """
    _arm(item)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Watch the teardown of a failed test too: others stop their clocks here, for debuggers."""
    if isinstance(node, pytest.Item):
        _arm(node)


def _arm(item: pytest.Item) -> None:
    marker = item.get_closest_marker("timeout")
    wanted = item.config.getoption("timeout")
    if wanted is None:
        wanted = item.config.getini("timeout")
    allowed = float(marker.args[0] if marker is not None else wanted)
    if not allowed or item.config.getoption("usepdb"):  # somebody wants to look at it at leisure
        return
    faulthandler.dump_traceback_later(
        allowed + _BACKSTOP_SECONDS, exit=True, file=item.config.stash[_STDERR]
    )
