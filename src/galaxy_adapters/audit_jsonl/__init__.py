"""The audit trail as hash-chained JSON lines in `logs/galaxy-audit.jsonl`.

`docs/adr/0004-audit-trail.md` says how a line is made and what a check can and cannot find.
Names are loaded when they are first used: a command that only reads must start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from galaxy_adapters.audit_jsonl.old_parts import OldAuditParts
    from galaxy_adapters.audit_jsonl.reading import read_newest
    from galaxy_adapters.audit_jsonl.sink import JsonlAuditSink
    from galaxy_adapters.audit_jsonl.trail import JsonlAuditTrail
    from galaxy_adapters.audit_jsonl.verifying import verify_chain, verify_newest

__all__ = [
    "JsonlAuditSink",
    "JsonlAuditTrail",
    "OldAuditParts",
    "read_newest",
    "verify_chain",
    "verify_newest",
]

_HOMES = {
    "JsonlAuditSink": "sink",
    "JsonlAuditTrail": "trail",
    "OldAuditParts": "old_parts",
    "read_newest": "reading",
    "verify_chain": "verifying",
    "verify_newest": "verifying",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
