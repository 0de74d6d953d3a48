"""What kind of file system a folder lies on.

Locks and change notices of a network file system cannot be trusted: other hosts' changes are not
announced, `flock` is emulated or local, and a rename may be reported as failed after it happened.
"""

from __future__ import annotations

import os
from pathlib import Path

from galaxy_core.domain.errors import UnsupportedFilesystem

_MOUNTS = Path("/proc/self/mounts")
NETWORK_KINDS = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "smb2", "9p", "afs", "ncpfs", "coda"),
        *("ceph", "glusterfs", "lustre", "gpfs", "beegfs", "orangefs", "ocfs2", "gfs2"),
        *("davfs", "webdav", "vboxsf", "vmhgfs", "prl_fs", "virtiofs", "acfs"),
    }
)
"""Names as /proc/mounts has them; every `fuse.…` that is not known to be local counts too."""
_LOCAL_FUSE = frozenset(
    {
        *("fuse.ntfs-3g", "fuse.ntfs", "fuse.exfat", "fuse.bindfs", "fuse.mergerfs"),
        *("fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.encfs", "fuse.cryfs"),
    }
)


def filesystem_kind(folder: Path, *, mounts: Path = _MOUNTS) -> str | None:
    """The kind of file system `folder` (which exists) lies on; None where it cannot be told."""
    real = os.path.realpath(folder)
    best, kind = "", None
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:  # no /proc: macOS
        return None
    for line in lines:
        parts = line.split(" ")
        if len(parts) < 3:  # noqa: PLR2004 - device, mount point, kind
            continue
        point = _unescaped(parts[1])
        is_above = real == point or real.startswith(point.rstrip("/") + "/")
        # A later line with the same mount point covers the earlier one.
        if is_above and len(point) >= len(best):
            best, kind = point, parts[2]
    return kind


def is_network_kind(kind: str | None) -> bool:
    """Whether a file system of this kind is served by another host; unknown counts as local."""
    if kind is None:
        return False
    if kind.startswith("fuse.") or kind == "fuse":
        return kind not in _LOCAL_FUSE
    return kind in NETWORK_KINDS


def refuse_network_folder(folder: Path) -> None:
    """Raise `UnsupportedFilesystem` when `folder` lies on a network file system."""
    kind = filesystem_kind(folder)
    if is_network_kind(kind):
        raise UnsupportedFilesystem(
            f"{folder} lies on a network file system ({kind}): its locks and change notices "
            "cannot be trusted. Use a folder on a local disk of this machine, or, when only one "
            "host ever works in it, have it polled."
        )


def _unescaped(text: str) -> str:
    """Undo the octal escapes of /proc/mounts, where a space is backslash 040."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
