"""Fixtures for every test."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run coroutine tests on asyncio only: python-telegram-bot knows no other event loop."""
    return "asyncio"
