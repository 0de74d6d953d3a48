"""Give every platform's opencode an entry in package-lock.json.

npm leaves an optional package out of the lock when the registry it asks does not hold it (a mirror
that keeps one platform, say), and `npm ci` then refuses that lock everywhere. The missing ones are
exact versions named by opencode-ai itself; they are added without a hash, which the next
`make lock` against a complete registry fills in. Entries that npm wrote are not touched.
"""

import json
import sys
from pathlib import Path

OS_NAMES = {"windows": "win32"}


def completed(lock: dict[str, dict[str, dict[str, object]]]) -> list[str]:
    """Add what is missing to `lock` and name it."""
    packages = lock["packages"]
    optional = packages["node_modules/opencode-ai"]["optionalDependencies"]
    if not isinstance(optional, dict):
        sys.exit("package-lock.json: opencode-ai names no optional packages; look at it by hand")
    added = []
    for name, version in sorted(optional.items()):
        key = f"node_modules/{name}"
        if key in packages:
            continue
        _, system, machine, *variants = name.split("-")
        packages[key] = {
            "version": version,
            "cpu": [machine],
            **({"libc": ["musl"]} if "musl" in variants else {}),
            "optional": True,
            "os": [OS_NAMES.get(system, system)],
        }
        added.append(name)
    lock["packages"] = dict(sorted(packages.items()))
    return added


def main() -> None:
    """Rewrite the lock beside this project's package.json."""
    path = Path(__file__).parent.parent / "package-lock.json"
    lock = json.loads(path.read_text(encoding="utf-8"))
    for name in completed(lock):
        sys.stderr.write(f"package-lock.json: {name} added without a hash\n")
    path.write_text(json.dumps(lock, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
