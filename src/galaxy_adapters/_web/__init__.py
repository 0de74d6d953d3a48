"""What everything that speaks HTTP with people and programs shares.

`Site` ties it together: the door (`guard`: names, origins, sessions, token), limits for bodies,
problem details, static files, pages.  An adapter offers `routes(...)`; the application collects
them, `Site.application` puts the door around them, `serve` runs it.

In a route: `visitor_of(request)` says who asks, `raise Problem(status, sentence)` refuses (any
error of the core may be raised too), `site.pages.render(request, "x.html", ...)` answers with a
page, `read_object` and `read_form` take what was sent, `EventResponse` streams.
"""

from galaxy_adapters._web.access import OWNER, WebAccess, is_loopback, why_too_open
from galaxy_adapters._web.assets import Assets
from galaxy_adapters._web.bodies import allow_body, read_object
from galaxy_adapters._web.events import (
    EventHub,
    EventResponse,
    ServerEvent,
    Subscription,
    last_event_id,
)
from galaxy_adapters._web.guard import Visitor, visitor_of
from galaxy_adapters._web.markdown import plain_html, render, render_now
from galaxy_adapters._web.pages import Pages, safe, visible
from galaxy_adapters._web.passwords import hash_password, is_hash
from galaxy_adapters._web.problems import Problem, problem_of, problem_response, wants_page
from galaxy_adapters._web.server import CannotListen, address_of, serve
from galaxy_adapters._web.sessions import SessionDesk
from galaxy_adapters._web.site import Site
from galaxy_adapters._web.uploads import Form, FormLimits, Upload, read_form

__all__ = [
    "OWNER",
    "Assets",
    "CannotListen",
    "EventHub",
    "EventResponse",
    "Form",
    "FormLimits",
    "Pages",
    "Problem",
    "ServerEvent",
    "SessionDesk",
    "Site",
    "Subscription",
    "Upload",
    "Visitor",
    "WebAccess",
    "address_of",
    "allow_body",
    "hash_password",
    "is_hash",
    "is_loopback",
    "last_event_id",
    "plain_html",
    "problem_of",
    "problem_response",
    "read_form",
    "read_object",
    "render",
    "render_now",
    "safe",
    "serve",
    "visible",
    "visitor_of",
    "wants_page",
    "why_too_open",
]
