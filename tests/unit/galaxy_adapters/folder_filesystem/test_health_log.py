"""The health log grows by lines and not for ever."""

from pathlib import Path

import pytest

from galaxy_adapters.folder_filesystem import append_to_health_log
from galaxy_core.domain.errors import StorageUnavailable


def test_a_full_log_is_put_aside(tmp_path: Path) -> None:
    """Two files are kept, however long it runs."""
    log = tmp_path / "logs" / "health.log"
    for number in range(50):
        append_to_health_log(log, [f"{number} ✓ well"], max_bytes=100)
    assert {path.name for path in log.parent.iterdir()} == {"health.log", "health.log.1"}
    assert log.read_text("utf-8").endswith("49 ✓ well\n")
    assert all(path.stat().st_size < 150 for path in log.parent.iterdir())


def test_a_folder_that_refuses_is_said_in_a_sentence(tmp_path: Path) -> None:
    """Who looks must hear what was seen all the same."""
    (tmp_path / "logs").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        append_to_health_log(tmp_path / "logs" / "health.log", ["a"])
