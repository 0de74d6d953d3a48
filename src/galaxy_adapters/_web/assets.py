"""Scripts, styles and pictures: read once, called by the hash of them all, kept by browsers.

All of them lie under one hash, so that they can name each other by relative paths.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from attrs import define, field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from galaxy_adapters._web.problems import Problem

__all__ = ["Assets"]

_KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
    ".txt": "text/plain",
}
_YEAR = "public, max-age=31536000, immutable"


@define(eq=False)
class Assets:
    """Files in memory; only what was added can be asked for."""

    _files: dict[str, bytes] = field(factory=dict, init=False)
    _digest: str | None = field(default=None, init=False)

    def add_folder(self, folder: Path) -> None:
        """Add all files of a folder under their relative paths; a name may be taken once."""
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in _KINDS:
                self.add(path.relative_to(folder).as_posix(), path.read_bytes())

    def add(self, name: str, content: bytes) -> None:
        """Add one file."""
        if name in self._files:
            raise ValueError(f"there are two files {name}")
        self._files[name] = content
        self._digest = None

    @property
    def digest(self) -> str:
        """The hash of everything."""
        if self._digest is None:
            whole = sha256()
            for name, content in sorted(self._files.items()):
                whole.update(f"{name}\0{len(content)}\0".encode() + content)
            self._digest = whole.hexdigest()[:16]
        return self._digest

    def url(self, name: str) -> str:
        """Where a page finds the file.  Raises `KeyError` for one that is not there."""
        if name not in self._files:
            raise KeyError(name)
        return f"/static/{self.digest}/{name}"

    def routes(self) -> list[BaseRoute]:
        """Where the files are served."""
        return [Route("/static/{digest}/{name:path}", self._serve, methods=["GET"])]

    async def _serve(self, request: Request) -> Response:
        name, digest = request.path_params["name"], request.path_params["digest"]
        content = self._files.get(name)
        if content is None:
            raise Problem(404, "There is no such file.")
        # A page from before an update may ask by the old hash: it gets what there is, unkept.
        kept = _YEAR if digest == self.digest else "no-cache"
        kind = _KINDS[Path(name).suffix]
        return Response(content, media_type=kind, headers={"cache-control": kept})
