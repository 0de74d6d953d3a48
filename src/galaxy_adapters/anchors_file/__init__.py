"""Port `AnchorLog` on a text file."""

from galaxy_adapters.anchors_file.log import FileAnchorLog

__all__ = ["FileAnchorLog"]
