"""Pages: Jinja templates, escaped by default, around one shell."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attrs import define, field
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from galaxy_adapters._web.assets import Assets

__all__ = ["Pages", "safe"]

HERE = Path(__file__).parent
_THEMES = frozenset({"light", "dark"})


def safe(html: str) -> Markup:
    """Mark HTML of our own making (`Markdown`) as such; never what a person wrote."""
    return Markup(html)  # noqa: S704 - that is what this is for


@define(eq=False)
class Pages:
    """Renders templates of this package and of the folders given.

    Every template sees `asset(name)`, `is_demo`, `theme` (`light`, `dark` or empty: as the system
    has it) and `person` (empty when nobody is logged in).
    """

    assets: Assets
    folders: Sequence[Path] = ()
    is_demo: bool = False
    _environment: Environment = field(init=False)

    def __attrs_post_init__(self) -> None:
        folders = [*self.folders, HERE / "templates"]
        self._environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals |= {"asset": self.assets.url, "is_demo": self.is_demo}

    def text(self, template: str, **context: object) -> str:
        """A template, filled in."""
        return self._environment.get_template(template).render(**context)

    def render(
        self, request: Request, template: str, *, status: int = 200, **context: object
    ) -> HTMLResponse:
        """A page for who asks."""
        theme = request.cookies.get("galaxy-theme", "")
        visitor = request.scope.get("galaxy.visitor")
        person = visitor.person if visitor is not None else ""
        shell = {"theme": theme if theme in _THEMES else "", "person": person, "path": ""}
        shell["path"] = request.url.path
        return HTMLResponse(self.text(template, **(shell | context)), status_code=status)
