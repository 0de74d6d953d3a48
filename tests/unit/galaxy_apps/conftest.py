"""What the applications' tests begin with."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Give the process its own log back."""
    root = logging.getLogger()
    handlers, level, own = root.handlers[:], root.level, structlog.get_config()
    # Some test before may have left them captured: they are captured only once.
    logging.captureWarnings(capture=False)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.configure(**own)
