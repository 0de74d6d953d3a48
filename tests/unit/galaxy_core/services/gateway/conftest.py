"""What the gateway's tests begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.galaxy_core.services.gateway.world import GatewayWorld


@pytest.fixture
def world(tmp_path: Path) -> GatewayWorld:
    """Give one machine, its Hermes and a gateway."""
    return GatewayWorld(tmp_path)
