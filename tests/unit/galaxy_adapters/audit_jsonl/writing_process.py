"""A process that writes to a trail, and prints the id of each event once it was accepted.

python -m tests.unit.galaxy_adapters.audit_jsonl.writing_process PATH NAME COUNT ROTATE_BYTES
"""

import sys
from datetime import timedelta
from pathlib import Path

from attrs import evolve

from galaxy_adapters.audit_jsonl._line import encode_body
from galaxy_adapters.audit_jsonl._log import ChainedLog
from tests.unit.galaxy_adapters.audit_jsonl.helpers import START, event


def main(path: str, name: str, count: str, rotate_bytes: str) -> None:
    """Write the events one by one."""
    log = ChainedLog(Path(path), rotate_bytes=int(rotate_bytes), lock_timeout=timedelta(seconds=30))
    for number in range(int(count)):
        order_id = f"{name}-{number}"
        log.append([encode_body(evolve(event(number), order_id=order_id))], START)
        print(order_id, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
