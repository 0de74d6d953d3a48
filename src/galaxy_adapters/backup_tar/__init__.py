"""Copies of a machine's folder as one compressed tar file with a manifest."""

from galaxy_adapters.backup_tar.making import make_backup
from galaxy_adapters.backup_tar.restoring import restore_backup

__all__ = ["make_backup", "restore_backup"]
