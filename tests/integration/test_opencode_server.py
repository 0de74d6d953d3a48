"""The server dispatcher under the dispatchers' contract, over the real opencode."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from galaxy_core.testing.contracts.dispatcher import DispatcherContract
from tests.opencode_server import ServerHarness, Site

pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]
pytestmark = [pytest.mark.anyio, pytest.mark.opencode]


class TestOpencodeServer(DispatcherContract):
    """The real opencode, shared by the tests."""

    @pytest.fixture
    async def harness(self, opencode_site: Site, tmp_path: Path) -> AsyncIterator[ServerHarness]:
        """Give a dispatcher on the shared server."""
        async with ServerHarness(opencode_site, tmp_path).running() as running:
            yield running
