"""Port `Inventory` on a machine's folder."""

from galaxy_adapters.inventory_filesystem.inventory import FilesystemInventory

__all__ = ["FilesystemInventory"]
