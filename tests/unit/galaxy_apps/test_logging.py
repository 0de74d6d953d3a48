"""The log: one chain, and no secret in it."""

import io
import json
import logging
import warnings

import pytest
import structlog

from galaxy_apps.logging import Redactor, configure_logging

TOKEN = "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x"
PASSWORD = 'pass "word"\\'


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


@pytest.fixture(params=[io.StringIO, Terminal], ids=["pipe", "terminal"])
def output(request: pytest.FixtureRequest, restored_logging: None) -> io.StringIO:
    """Where the log goes, set up with one known secret."""
    stream: io.StringIO = request.param()
    configure_logging(level="DEBUG", secrets=[PASSWORD], stream=stream)
    return stream


def fail(text: str) -> None:
    """Raise with `text`, one call deep."""
    raise RuntimeError(text)


@pytest.mark.parametrize("secret", [TOKEN, PASSWORD], ids=["token", "password"])
def test_no_way_into_the_log_lets_a_secret_out(output: io.StringIO, secret: str) -> None:
    """Message, arguments, keys, nested values, exceptions, causes, warnings: all are masked."""
    log, foreign = structlog.get_logger("ours"), logging.getLogger("theirs")
    log.info(f"message.had {secret} inside")  # noqa: G004  somebody will
    log.info("value.given", url=f"https://api.example/bot{secret}/getMe", nested={"a": [secret]})
    log.info("name.told", password="hunter2", Authorization="x", token=secret)
    log.info("positional %s", secret)
    foreign.info("theirs %s", secret)
    foreign.info(secret)
    foreign.info("%(key)s", {"key": secret})
    try:
        try:
            fail(secret)
        except RuntimeError as error:
            raise ValueError(f"again {secret}") from error
    except ValueError:
        log.exception("run.failed")
        foreign.exception("theirs.failed")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(f"deprecated {secret}", DeprecationWarning, stacklevel=1)
    structlog.contextvars.bind_contextvars(bound=secret)
    log.warning("bound.too")
    structlog.contextvars.clear_contextvars()
    text = output.getvalue()
    assert text.count("********") >= 10
    assert "run.failed" in text
    assert "RuntimeError" in text
    assert "deprecated" in text
    assert "hunter2" not in text
    for form in (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], secret[-12:]):
        assert form not in text


@pytest.mark.parametrize(
    "line, kept",
    [
        ("Authorization: Bearer abc.def-ghi_jkl", "Bearer ********"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "Basic ********"),
        ("GET https://me:secret@host/path", "https://********@host/path"),
        ("the basic functionality of http://host:80/a@b", None),
        ("at 12:30:00 order 20260202-062557", None),
    ],
)
def test_headers_and_addresses_are_masked_and_prose_is_not(line: str, kept: str | None) -> None:
    """What libraries print about requests is safe, and ordinary lines stay readable."""
    found = Redactor()(line)
    assert found == line if kept is None else kept in found
    for secret in ("abc.def-ghi_jkl", "dXNlcjpwYXNz", "me:secret"):
        assert secret not in found


def test_a_pipe_gets_one_json_object_a_line(restored_logging: None) -> None:
    """Programs read the log: also a traceback is part of its line."""
    stream = io.StringIO()
    configure_logging(stream=stream)
    structlog.get_logger("ours").info("order.ended", order_id="ö-1")
    try:
        fail("why")
    except RuntimeError:
        logging.getLogger("theirs").exception("failed %s", "here")
    structlog.get_logger("ours").debug("not.shown")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["event"] == "order.ended"
    assert (first["order_id"], first["level"], first["logger"]) == ("ö-1", "info", "ours")
    assert first["timestamp"].endswith("Z")
    assert (second["event"], second["level"]) == ("failed here", "error")
    assert "RuntimeError: why" in second["exception"]


def test_a_closed_standard_error_is_no_reason_to_die(
    restored_logging: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon started with 2>&- works; its log is lost, its orders are not."""
    monkeypatch.setattr("sys.stderr", None)
    configure_logging()
    structlog.get_logger("ours").error("nobody.hears")
