"""Finding tokens, keys and passwords in a text that is about to leave the machine.

Known forms only, each with a beginning of its own: what merely looks random (hashes, ids, images
in base64) must stay readable.  A text of a megabyte takes some milliseconds: `re` finds a single
character or a word fast, so forms that share one are looked for together, behind it; and no
pattern goes back over what it has read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import partial

from attrs import frozen

MARK = "«masked»"
"""What stands in a secret's place: seen by people, and no markup anywhere."""
SHORTEST = 8
"""Characters of a secret of the settings; shorter ones would mask words that are none."""


@frozen
class SecretForm:
    """One form of secret."""

    name: str
    hint: str
    """What every secret of the form has, and few other texts: looked for first."""
    rest: str
    """A pattern for what follows the hint.  Its group `keep_<n>`, where there is one, is not
    masked; what stands before the hint is not either, and tells people what it was."""


_W = r"[A-Za-z0-9_-]"
_ALNUM = r"[A-Za-z0-9]"
_SET = r"[\"']?\s{0,9}+[:=]\s{0,9}+[\"']?"
_KEY = r"(?:[A-Z0-9]++ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
_BEARER = r"(?P<keep>\s{1,9}+)(?=\S*?\d)[A-Za-z0-9._~+/=-]{16,}+"
_AWS_KEY_ID = r"(?<![A-Za-z0-9+/]A[KS]IA)[0-9A-Z]{16}(?![A-Za-z0-9+/=])"
_AWS_40 = r"[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])"

FORMS: tuple[SecretForm, ...] = (
    SecretForm("telegram", ":", rf"(?<=\d{{6}}:)AA{_W}{{33}}(?!{_W})"),
    SecretForm("address", ":", r"(?P<keep>//[^\s/@:\"'<>]{0,200}+:)[^\s/@\"'<>]{1,200}+(?=@)"),
    SecretForm("slack", ":", r"(?P<keep>//hooks\.slack\.com/(?:services|workflows)/)[\w/]{20,}+"),
    SecretForm(
        "openai, anthropic and who follows them",
        "-",
        rf"(?<=sk-)(?<!{_W}sk-)(?:"
        rf"(?:proj|ant|or|svcacct|admin)-{_W}{{16,}}+"
        rf"|[0-9a-f]{{32,}}+(?!{_W})"
        rf"|(?=[A-Za-z_-]*+\d)(?=[a-z0-9_-]*+[A-Z]){_W}{{20,}}+)",
    ),
    SecretForm("gitlab", "-", rf"(?<=glpat-){_W}{{20,}}+"),
    SecretForm("slack", "-", r"(?<=xox[abeoprs]-)(?=[A-Za-z-]{0,40}+\d)[A-Za-z0-9-]{10,}+"),
    SecretForm("slack", "-", r"(?<=xapp-)(?=[A-Za-z-]{0,40}+\d)[A-Za-z0-9-]{10,}+"),
    # To its end; where that is missing, the lines that look like a key's.  No group is repeated
    # possessively: Python before 3.11.5 finds nothing then (gh-106052).
    SecretForm(
        "private key",
        "-",
        rf"(?<!--)(?P<keep>----BEGIN {_KEY})"
        rf"(?:(?:[^-]++|-(?!----))*-----END {_KEY}|(?:\s{{0,9}}+[A-Za-z0-9+/=]{{40,}}+)+)",
    ),
    SecretForm("github", "_", rf"(?<=gh[pousr]_)(?<!{_ALNUM}gh[pousr]_){_ALNUM}{{36,}}+"),
    SecretForm("github", "_", r"(?<=github_pat_)\w{22,}+"),
    SecretForm("npm", "_", rf"(?<=npm_)(?<!\wnpm_){_ALNUM}{{36}}(?!\w)"),
    SecretForm("hugging face", "_", rf"(?<=hf_)(?<!\whf_){_ALNUM}{{30,}}+(?!_)"),
    SecretForm(
        "stripe", "_", rf"(?:(?<=[sr]k_live_)|(?<=[sr]k_test_)|(?<=whsec_)){_ALNUM}{{16,}}+"
    ),
    SecretForm("aws", "_", rf"(?P<keep>(?:(?<=access_)key|(?<=ACCESS_)KEY){_SET}){_AWS_40}"),
    SecretForm("aws", "SecretAccessKey", rf"(?P<keep>{_SET}){_AWS_40}"),
    SecretForm("aws", "AKIA", _AWS_KEY_ID),
    SecretForm("aws", "ASIA", _AWS_KEY_ID),
    SecretForm("google", "AIza", rf"(?<![A-Za-z0-9+/_-]AIza){_W}{{35}}(?![A-Za-z0-9+/=_-])"),
    SecretForm(
        "json web token", "eyJ", rf"(?<!{_W}eyJ){_W}{{10,}}+\.eyJ{_W}{{10,}}+\.{_W}{{16,}}+"
    ),
    SecretForm("header", "earer", _BEARER),
    SecretForm("header", "EARER", _BEARER),
    SecretForm(
        "header",
        "uthorization",
        rf"(?P<keep>{_SET}(?:[Bb]asic|[Tt]oken)\s{{1,9}}+)[A-Za-z0-9._~+/=-]{{8,}}+",
    ),
)


def _by_hint() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """One pattern a hint, all forms that share it behind it."""
    found: dict[str, list[str]] = {}
    for number, form in enumerate(FORMS):
        rest = form.rest.replace("(?P<keep>", f"(?P<keep_{number}>")
        found.setdefault(form.hint, []).append(rest)
    return tuple(
        (hint, re.compile(f"{re.escape(hint)}(?:{'|'.join(rests)})", re.ASCII))
        for hint, rests in found.items()
    )


_PATTERNS = _by_hint()


class SecretMask:
    """Masks what is known to be secret, and what has the form of a secret."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """`secrets` are masked literally, wherever they stand."""
        known: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST:
                known |= {secret, json.dumps(secret)[1:-1]}
        # The longest first: one may be part of another.
        self._known = sorted(known, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """The text without its secrets; the same one when it has none."""
        for secret in self._known:
            text = text.replace(secret, MARK)
        for hint, pattern in _PATTERNS:
            if hint in text:
                text = pattern.sub(partial(_masked, hint), text)
        return text


def _masked(hint: str, match: re.Match[str]) -> str:
    return hint + next((kept for kept in match.groups() if kept), "") + MARK
