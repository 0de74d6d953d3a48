"""One order through the whole: `galaxy up` as a process, an order at its API, what came of it."""

from __future__ import annotations

import json
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from attrs import frozen

from galaxy_apps.demo.stage import Stage, own_environment
from galaxy_apps.exit_codes import ExitCode
from galaxy_core.wire.layout import Layout

TEXT = "Test: Echo hello world"
WAIT_S = 30
LETTER_PATIENCE_S = 10.0
LOOK_EVERY_S = 0.1


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class Refused(Exception):
    """The API did not do what it was asked for."""


@frozen
class Api:
    """The HTTP API of one server."""

    host: str
    port: int
    token: str

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """The object that was answered.  Raises `Refused`."""
        connection = HTTPConnection(self.host, self.port, timeout=WAIT_S + 15)
        try:
            headers = {"Authorization": f"Bearer {self.token}"}
            data = None
            if body is not None:
                data, headers["Content-Type"] = json.dumps(body), "application/json"
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())
        except (OSError, HTTPException, ValueError) as error:
            raise Refused(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if answer.status >= 400 or not isinstance(found, dict):  # noqa: PLR2004  HTTP's
            raise Refused(f"{method} {path}: {answer.status} {found}")
        return found


def perform(folder: Path, *, is_demo: bool, patience_s: float) -> ExitCode:
    """Start everything, hand an order in, show its answer, end everything."""
    stage = Stage(folder, own_environment())
    try:
        address = stage.start_up(is_demo=is_demo)
        if address is None:
            return _failed(folder, "It did not start.")
        layout = Layout(folder / "project")
        parts = urlsplit(address)
        token = (layout.settings_folder / "web-token").read_text(encoding="ascii").strip()
        api = Api(parts.hostname or "", parts.port or 0, token)
        say(f"Galaxy      is up at {parts.scheme}://{parts.netloc} (log {folder / 'up.log'})")
        begun = time.monotonic()
        order = {"type": "galaxy_order", "from": "demo", "command": "general", "payload": TEXT}
        order_id = str(api.call("POST", "/api/orders", order)["order_id"])
        say(f"Order       {order_id}: {TEXT}")
        found: dict[str, object] = {}
        while not found.get("response") and time.monotonic() - begun < patience_s:
            found = api.call("GET", f"/api/orders/{order_id}/wait?seconds={WAIT_S}")
        if not found.get("response"):
            return _failed(folder, "No answer came.")
        _show(layout, order_id, time.monotonic() - begun)
        return ExitCode.OK if found.get("state") == "succeeded" else ExitCode.FAILURE
    except Refused as error:
        return _failed(folder, str(error))
    finally:
        stage.stop()


def _failed(folder: Path, sentence: str) -> ExitCode:
    say(f"{sentence} The end of the log:")
    log = (folder / "up.log").read_text(encoding="utf-8", errors="replace")
    say("\n".join(f"    {line}" for line in log.splitlines()[-20:]))
    return ExitCode.FAILURE


def _show(layout: Layout, order_id: str, seconds: float) -> None:
    """Print what came of the order: response, archive, letter, trail."""
    say(f"Answered    in {seconds:.1f} s: {layout.response(order_id)}")
    say()
    for line in layout.response(order_id).read_text(encoding="utf-8").splitlines():
        say(f"    {line}")
    say()
    archived = layout.archive / f"{order_id}.json"
    end = time.monotonic() + LETTER_PATIENCE_S
    while not archived.exists() and time.monotonic() < end:
        time.sleep(LOOK_EVERY_S)
    ended = json.loads(archived.read_text(encoding="utf-8"))
    say(f"Archived    {archived} (acknowledged: {json.dumps(ended['acknowledged'])})")
    say(f"Trail       {layout.audit_log}")
    for line in layout.audit_log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record.get("order_id") == order_id:
            say(f"    {record['timestamp'][11:23]}  {record['event_type']}")
    say()
