"""The examples of `docs/how-to/` are run as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"
CONFTEST = """
import pytest

@pytest.fixture(scope="session")
def anyio_backend():
    return "asyncio"
"""


@pytest.mark.parametrize(
    "page,at_least",
    [("write-a-queue.md", 100), ("write-a-channel.md", 20), ("write-another-adapter.md", 7)],
)
def test_example_passes(page: str, at_least: int, tmp_path: Path) -> None:
    """Whoever copies the page's code has an adapter that passes its contract."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (HOW_TO / page).read_text(), re.MULTILINE | re.DOTALL
    )
    (tmp_path / "test_example.py").write_text("\n".join(blocks))
    (tmp_path / "conftest.py").write_text(CONFTEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    ran = subprocess.run(
        [*command, "test_example.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    passed = re.search(r"(\d+) passed", ran.stdout)
    assert passed is not None
    assert int(passed[1]) >= at_least
