"""The server dispatcher under the dispatchers' contract, over the fake opencode.

The fake does not take its password in secret, so these tests also run the way back to the
environment.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from galaxy_core.testing.contracts.dispatcher import DispatcherContract
from galaxy_core.testing.opencode import write_stub
from galaxy_core.testing.opencode_project import private_environment
from tests.opencode_server import ServerHarness, Site


@pytest.fixture(scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One server for all tests: each has projects and a dispatcher of its own."""
    folder = tmp_path_factory.mktemp("machine")
    made = Site(
        machine=folder,
        binary=write_stub(folder / "bin"),
        environment=private_environment(folder / "home", {"PATH": "/usr/bin:/bin"}),
        model_url="http://127.0.0.1:9/v1",
    )
    yield made
    await made.close()


class TestOpencodeServerOnFake(DispatcherContract):
    """The fake opencode, shared by the tests."""

    @pytest.fixture
    async def harness(self, site: Site, tmp_path: Path) -> AsyncIterator[ServerHarness]:
        """Give a dispatcher on the shared server."""
        async with ServerHarness(site, tmp_path).running() as running:
            yield running
