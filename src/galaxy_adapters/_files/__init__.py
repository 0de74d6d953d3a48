"""Files shared by the adapters: durable writes, exclusive names, notices of changes."""

from galaxy_adapters._files.durable import (
    SCRATCH_PREFIX,
    Publication,
    create_durably,
    create_named,
    make_durable_folder,
    replace_atomically,
    sweep_scratch,
    sync_data,
    sync_directory,
    sync_file,
    write_all,
    write_durably,
)
from galaxy_adapters._files.errors import storage_errors, storage_unavailable
from galaxy_adapters._files.exclusive_lock import exclusive_lock
from galaxy_adapters._files.filesystem_kind import (
    filesystem_kind,
    is_network_kind,
    refuse_network_folder,
)
from galaxy_adapters._files.many_syncs import side_by_side
from galaxy_adapters._files.reading import plain_files, read_plain_file
from galaxy_adapters._files.rename import rename_exclusively
from galaxy_adapters._files.shared_sync import SharedSync
from galaxy_adapters._files.watch import (
    ANY_CHANGE,
    NEW_CONTENT,
    Change,
    ChangeKind,
    FolderWatch,
)

__all__ = [
    "ANY_CHANGE",
    "NEW_CONTENT",
    "SCRATCH_PREFIX",
    "Change",
    "ChangeKind",
    "FolderWatch",
    "Publication",
    "SharedSync",
    "create_durably",
    "create_named",
    "exclusive_lock",
    "filesystem_kind",
    "is_network_kind",
    "make_durable_folder",
    "plain_files",
    "read_plain_file",
    "refuse_network_folder",
    "rename_exclusively",
    "replace_atomically",
    "side_by_side",
    "storage_errors",
    "storage_unavailable",
    "sweep_scratch",
    "sync_data",
    "sync_directory",
    "sync_file",
    "write_all",
    "write_durably",
]
