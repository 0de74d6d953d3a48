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

__all__ = ["Pages", "safe", "visible"]

HERE = Path(__file__).parent
_THEMES = frozenset({"light", "dark"})
SECTIONS = (("/", "Dashboard"), ("/orders", "Orders"), ("/audit", "Trail"), ("/chat", "Chat"))
"""Addresses and names of the pages that every page leads to."""
# What has no shape of its own and changes or hides the text around it: halves of characters,
# control characters, overrides of the writing direction.
_SHAPELESS = {
    **dict.fromkeys(
        [*range(9), 11, 12, *range(14, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}"
    ),
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\N{REPLACEMENT CHARACTER}"),
    **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}"),
}


def safe(html: str) -> Markup:
    """Mark HTML of our own making (`Markdown`) as such; never what a person wrote."""
    return Markup(html)  # noqa: S704 - that is what this is for


def visible(text: str) -> str:
    """The text, with a mark in place of what has no shape of its own."""
    return text if text.isprintable() else text.translate(_SHAPELESS)


def _shown(value: object) -> object:
    """What a template shows of a value: of texts, what can be seen."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@define(eq=False)
class Pages:
    """Renders templates of this package and of the folders given.

    Every template sees `asset(name)`, `is_demo`, `has_login`, `sections`, `theme` (`light`, `dark`
    or empty: as the system has it), `path` and `person` (empty when nobody is logged in).
    """

    assets: Assets
    folders: Sequence[Path] = ()
    is_demo: bool = False
    sections: Sequence[tuple[str, str]] = SECTIONS
    has_login: bool = False
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
            finalize=_shown,
        )
        self._environment.globals |= {
            "asset": self.assets.url,
            "is_demo": self.is_demo,
            "has_login": self.has_login,
            "sections": self.sections,
        }

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
        html = self.text(template, **(shell | context)).encode("utf-8", "replace")
        return HTMLResponse(html, status_code=status)
