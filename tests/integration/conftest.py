"""What the tests against the real opencode share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from galaxy_core.testing.scripted_llm import ScriptedModelServer
from tests.opencode_server import Site


@pytest.fixture(scope="session")
async def opencode_site(
    tmp_path_factory: pytest.TempPathFactory,
    opencode_binary: Path,
    scripted_model: ScriptedModelServer,
    opencode_environment: dict[str, str],
) -> AsyncIterator[Site]:
    """One machine with one server, which takes seconds to start, for all tests."""
    site = Site(
        machine=tmp_path_factory.mktemp("machine"),
        binary=opencode_binary,
        environment=opencode_environment,
        model_url=scripted_model.url,
        count=scripted_model.count,
    )
    yield site
    await site.close()
