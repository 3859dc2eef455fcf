"""JSON from Clerk, read so that no part that nobody needs can make the whole unreadable.

Note [What a user may write himself]
`unsafe_metadata` is written by a person's own browser, and comes in everybody's list and in each event of
theirs. A number of more than 4,300 digits, or brackets within brackets by the thousand, are good JSON that
Python does not read: one user could stop every command for everybody, and the webhook of their own ban. Both
become null, and only where the plain reading failed: the usual answer costs nothing more.
"""

from __future__ import annotations

import json
import re

DEPTH_MAX = 100
_MARKS = re.compile(r'["\[\]{}]|\\.', re.DOTALL)


def read_payload(body: bytes) -> object:
    """Read JSON; what is too long or too deep for Python is None. Raises ValueError if it is no JSON."""
    try:
        return json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except (ValueError, RecursionError):
        text = body.decode(json.detect_encoding(body), "surrogatepass")
        return json.loads(_pruned(text), parse_int=_number)


def _number(digits: str) -> int | None:
    try:
        return int(digits)
    except ValueError:
        return None


def _pruned(text: str) -> str:
    """Return the text with null for each array and object that lies too deep, in one pass."""
    kept: list[str] = []
    start = deep = depth = 0
    in_string = False
    for mark in _MARKS.finditer(text):
        if mark[0] == '"':
            in_string = not in_string
        elif in_string:
            continue
        elif mark[0] in "[{":
            depth += 1
            if depth == DEPTH_MAX + 1:
                deep = mark.start()
        elif mark[0] in "]}":
            if depth == DEPTH_MAX + 1:
                kept += text[start:deep], "null"
                start = mark.end()
            depth -= 1
    # What was never closed is no JSON; its depth must not be what says so.
    kept.append(text[start : deep if depth > DEPTH_MAX else len(text)])
    return "".join(kept)
