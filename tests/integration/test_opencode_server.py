"""The server dispatcher under the dispatchers' contract, over the real opencode."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from galaxy_core.testing.contracts.dispatcher import DispatcherContract
from galaxy_core.testing.scripted_llm import ScriptedModelServer
from tests.opencode_server import ServerHarness, Site

pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]
pytestmark = [pytest.mark.anyio, pytest.mark.opencode]


@pytest.fixture(scope="module")
async def site(
    tmp_path_factory: pytest.TempPathFactory,
    opencode_binary: Path,
    scripted_model: ScriptedModelServer,
    opencode_environment: dict[str, str],
) -> AsyncIterator[Site]:
    """One server for all tests: each has projects and a dispatcher of its own."""
    made = Site(
        machine=tmp_path_factory.mktemp("machine"),
        binary=opencode_binary,
        environment=opencode_environment,
        model_url=scripted_model.url,
        count=scripted_model.count,
    )
    yield made
    await made.close()


class TestOpencodeServer(DispatcherContract):
    """The real opencode, shared by the tests."""

    @pytest.fixture
    async def harness(self, site: Site, tmp_path: Path) -> AsyncIterator[ServerHarness]:
        """Give a dispatcher on the shared server."""
        async with ServerHarness(site, tmp_path).running() as running:
            yield running
