"""Start the scripted model from a shell."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from galaxy_core.testing.scripted_llm.server import ScriptedModelServer


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        description="A scripted model that speaks the OpenAI protocol."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9921)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds between words")
    parser.add_argument("--log", type=Path, help="append one JSON line per request here")
    parser.add_argument("--quiet", action="store_true")
    options = parser.parse_args(arguments)
    log = options.log.open("a", encoding="utf-8") if options.log else None
    server = ScriptedModelServer((options.host, options.port), delay=options.delay, log=log)
    if not options.quiet:
        sys.stdout.write(f"listening {server.url}\n")
        sys.stdout.flush()
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
    finally:
        if log:
            log.close()


if __name__ == "__main__":
    main()
