"""The page's chat as a channel: what people say, press and read lies in a history of its own.

What the page calls (paths below `/chat`; JSON; errors are problem details, RFC 9457):

| Method and path | What |
|---|---|
| GET `/chat`, `/chat/<conversation>` | the page, `chat.html` |
| GET `/chat/api/conversations` | `{conversations: [C], number}`, the one used last first |
| POST `/chat/api/conversations` | `{title}` -> 201 `{conversation: C}` |
| PATCH `/chat/api/conversations/<id>` | `{title}` -> `{conversation: C}` |
| GET `/chat/api/conversations/<id>/messages?before=<M.id>&limit=50` | see below |
| POST `/chat/api/messages` | `{key, conversation, text, reply_to?}` -> 202 `{message: M, is_new}` |
| POST `/chat/api/presses` | `{key, message_id, data}` -> 202 `{press_id}` |
| GET `/chat/api/commands` | `{commands: [{command, description}]}` |
| GET `/chat/api/events?after=<number>` | server-sent events, see below |
| GET `/chat/files/<id>` | a file; pictures are shown, all else is downloaded |

Messages come as `{messages: [M], has_more, number}`, oldest first.  One with files is sent as a
form (`multipart/form-data`) with the same fields.  202 says that it is on the disk.

`key` is made by the page (a UUID): the same key is the same message, however often it is sent.

A conversation C is `{id, title, created_at, last_at, last_text, is_inbox, number}`; a message M is
`{id, conversation, kind, at, number, key, text, html, severity, sender, order_id, reply_to,
is_demo, buttons: [[{text, data, style}]], files: [{id, name, mime, size, url,
is_image}], status}`, where `kind` is `person` (theirs), `letter` (ours, stays) or `card` (ours,
changes) and `status` is null or `{state, machine, place, waits_until, elapsed_seconds, tool, todos:
[{content, status}], steps, tokens, cost_usd, note, is_waiting, is_over}`.

Events: `message` (M: new, or changed in place of what had its id), `conversation` (C), both with
the number as id; without id, as they are over when seen: `draft` `{conversation, order_id, html}`,
`typing` `{conversation}`, `press_answered` `{press_id, text, is_alert}`, and `reset` `{}`: load
everything anew.  A page loads lists first and listens `after` the `number` that came with them.
"""

from galaxy_adapters.channel_web._schema import VERSION as SCHEMA_VERSION
from galaxy_adapters.channel_web.channel import HISTORY, WebChannel
from galaxy_adapters.channel_web.config import WebChannelConfig
from galaxy_adapters.channel_web.old_history import OldHistory
from galaxy_adapters.channel_web.routes import FOLDER, routes

__all__ = [
    "FOLDER",
    "HISTORY",
    "SCHEMA_VERSION",
    "OldHistory",
    "WebChannel",
    "WebChannelConfig",
    "routes",
]
