"""Fixtures for every test."""

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


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio only: python-telegram-bot knows no other event loop."""
    return "asyncio"
