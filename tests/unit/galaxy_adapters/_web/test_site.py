"""Pages and files that every server has."""

import pytest

from tests.unit.galaxy_adapters._web.place import Place

pytestmark = pytest.mark.anyio


async def test_static_files_are_kept_by_browsers() -> None:
    """Under the hash of them all, for ever; under an old hash they are asked for again."""
    place = Place()
    browser = place.browser()
    for name in ("base.css", "code.css", "icon.svg"):
        answer = await browser.get(place.site.assets.url(name))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    old = await browser.get("/static/0000000000000000/base.css")
    assert old.headers["cache-control"] == "no-cache"
    assert old.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "name", ["", "nothing.css", "templates/page.html", "__init__.py", "static"]
)
async def test_only_what_was_added_is_served(name: str) -> None:
    """No listing, no templates, no sources."""
    place = Place()
    answer = await place.browser().get(f"/static/{place.site.assets.digest}/{name}")
    assert answer.status_code == 404


def test_changed_file_has_another_address() -> None:
    """An update is seen at once."""
    place = Place()
    before = place.site.assets.url("base.css")
    place.site.assets.add("more.css", b"")
    assert place.site.assets.url("base.css") != before
    with pytest.raises(ValueError, match="two files"):
        place.site.assets.add("more.css", b"")
    with pytest.raises(KeyError):
        place.site.assets.url("nothing.css")


async def test_pages_carry_no_inline_script_or_style() -> None:
    """Or the policy would break them."""
    place = Place()
    for path in ("/login", "/nowhere"):
        html = (await place.browser().get(path)).text
        assert "<script>" not in html
        assert " style=" not in html
        assert " onclick=" not in html


async def test_theme_is_the_persons_choice() -> None:
    """By cookie, so that a dark page is dark from the first paint; nonsense is ignored."""
    browser = Place().browser()
    for theme, expected in (("dark", 'data-theme="dark"'), ('"><script>', "<html lang")):
        answer = await browser.get("/login", headers={"cookie": f"galaxy-theme={theme}"})
        assert expected in answer.text
        assert "><script>" not in answer.text


async def test_what_people_wrote_is_escaped() -> None:
    """In every template, by default."""
    place = Place()
    html = place.site.pages.text(
        "problem.html", title="<b>", detail="<i>", code=1, theme="", person="", path="/"
    )
    assert "<b>" not in html
    assert "&lt;i&gt;" in html
