"""`make run` and `make demo`: an order goes in as a file, its answer comes out as one.

    python -m galaxy_apps.demo [--once] [--folder DIR] [--timeout SECONDS]

Exit codes: 0 the answer came (and, without `--once`, the demo was told to end), 1 it did not,
2 wrong usage, 3 opencode is missing.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from galaxy_adapters._opencode import find_opencode
from galaxy_apps.demo.provider import find_provider
from galaxy_apps.demo.stage import Stage, make_project, own_environment
from galaxy_core.domain.errors import GalaxyError
from galaxy_core.wire.layout import Layout

EXIT_NO_ANSWER = 1
EXIT_NO_OPENCODE = 3
LOOK_EVERY_S = 0.05
LETTER_PATIENCE_S = 10.0
SHORTEST_LIFE_S = 2.0
"""A Hermes that lives shorter than this is not started again."""


class Told(Exception):
    """Somebody wants the demo to end."""


def say(text: str = "") -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def guide_order() -> dict[str, object]:
    """The order of the deployment guide."""
    return {
        "type": "galaxy_order",
        "from": "test",
        "target": "production",
        "command": "general",
        "payload": "Test: Echo hello world",
        "timestamp": datetime.now(UTC).isoformat(),
        "acknowledged": False,
    }


def drop_order(layout: Layout) -> str:
    """Write the guide's order into the folder, as `cat` would; its id."""
    order_id = datetime.now(UTC).strftime("test-%Y%m%d-%H%M%S")
    layout.orders.mkdir(parents=True, exist_ok=True)
    path = layout.orders / f"{order_id}.json"
    path.write_text(json.dumps(guide_order(), indent=2) + "\n", encoding="utf-8")
    say(f"Order       {path}")
    return order_id


def wait_for(path: Path, hermes_is_alive: object, seconds: float) -> bool:
    """Whether the file is there before time is up or Hermes has gone."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.exists():
            return True
        if callable(hermes_is_alive) and not hermes_is_alive():
            return path.exists()
        time.sleep(LOOK_EVERY_S)
    return False


def show(layout: Layout, order_id: str, seconds: float) -> None:
    """Print what came of the order: response, archive, letter, trail."""
    say(f"Answered    in {seconds:.1f} s: {layout.response(order_id)}")
    say()
    for line in layout.response(order_id).read_text(encoding="utf-8").splitlines():
        say(f"    {line}")
    say()
    archived = layout.archive / f"{order_id}.json"
    wait_for(archived, None, LETTER_PATIENCE_S)
    ended = json.loads(archived.read_text(encoding="utf-8"))
    say(f"Archived    {archived} (acknowledged: {json.dumps(ended['acknowledged'])})")
    say(f"Letter      {layout.outbox / f'hermes-{order_id}.json'}")
    say(f"Trail       {layout.audit_log}")
    for line in layout.audit_log.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if record.get("order_id") == order_id:
            say(f"    {record['timestamp'][11:23]}  {record['event_type']}")
    say()


def perform(stage: Stage, settings: Path, *, is_once: bool, patience_s: float) -> int:
    """Start Hermes, send the order, show the answer; then serve until told otherwise."""
    layout = Layout(settings.parent.parent)
    hermes = stage.start_hermes(settings)
    say(f"Hermes      runs (process {hermes.pid}, log {stage.folder / 'hermes.log'})")
    begun = time.monotonic()
    order_id = drop_order(layout)
    if not wait_for(layout.response(order_id), lambda: hermes.poll() is None, patience_s):
        say("No answer came. The end of Hermes' log:")
        log = (stage.folder / "hermes.log").read_text(encoding="utf-8", errors="replace")
        say("\n".join(f"    {line}" for line in log.splitlines()[-20:]))
        return EXIT_NO_ANSWER
    show(layout, order_id, time.monotonic() - begun)
    if is_once:
        return 0
    say("Hermes goes on serving. In another terminal, in this folder:")
    say(f'    .venv/bin/galaxy order submit "What is in this folder?" --wait --config {settings}')
    say("Ctrl-C (or TERM) ends it.")
    return keep_serving(stage, settings, hermes)


def keep_serving(stage: Stage, settings: Path, hermes: subprocess.Popen[str]) -> int:
    """Start Hermes again whenever it dies, as a service manager does; ends when that is no use."""
    while True:
        begun = time.monotonic()
        code = hermes.wait()
        if time.monotonic() - begun < SHORTEST_LIFE_S:
            say(f"Hermes ended at once (code {code}); see {stage.folder / 'hermes.log'}")
            return EXIT_NO_ANSWER
        say(f"Hermes ended (code {code}) and is started again; no order is lost by that.")
        hermes = stage.start_hermes(settings)


def announce(*, provider: str | None, opencode: Path, settings: Path) -> None:
    """Say with what the demo is going to work."""
    say(f"opencode    {opencode}")
    if provider is None:
        say("Model       DEMO: the bundled scripted model. It repeats what it is told; no AI model")
        say("            is asked. Set one up with `opencode auth login`, then start this again.")
    else:
        say(f"Model       yours ({provider})")
    say(f"Project     {settings.parent.parent}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; its exit code."""
    parser = argparse.ArgumentParser(prog="galaxy-demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--once", action="store_true", help="end when the answer is there")
    parser.add_argument("--folder", type=Path, default=Path(".demo"), help="where to work")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds to wait")
    parser.add_argument("--scripted", action="store_true", help="ask no real model in any case")
    options = parser.parse_args(arguments)
    folder: Path = options.folder.resolve()
    environment = own_environment()
    home = Path(environment.get("HOME") or "/")
    try:
        opencode = find_opencode(environment.get("GALAXY_OPENCODE_BIN"), environment)
    except GalaxyError as error:
        say(str(error))
        return EXIT_NO_OPENCODE
    provider = None if options.scripted else find_provider(environment, home)
    settings = make_project(folder, is_demo=provider is None)
    announce(provider=provider, opencode=opencode, settings=settings)

    def told(_number: int, _frame: FrameType | None) -> None:
        raise Told

    signal.signal(signal.SIGTERM, told)
    signal.signal(signal.SIGINT, told)
    stage = Stage(folder, environment)
    try:
        if provider is None:
            stage.start_model()
        return perform(stage, settings, is_once=options.once, patience_s=options.timeout)
    except Told:
        say("Ending.")
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        stage.stop()


if __name__ == "__main__":
    sys.exit(main())
