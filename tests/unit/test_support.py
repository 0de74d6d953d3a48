"""The tests' own helper for missing programs."""

import pytest

from tests.support import require_or_skip


def test_missing_program_skips_on_a_laptop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CI in the environment the test is skipped, and the reason is shown."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no nats-server here"):
        require_or_skip("no nats-server here")


def test_missing_program_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """With CI in the environment a skip would hide that nothing was tested."""
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no nats-server here"):
        require_or_skip("no nats-server here")
