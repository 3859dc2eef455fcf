"""JSON from Clerk, parsed so that no unused part can make the whole unreadable.

Note [What users write themselves]
`unsafe_metadata` is written by a user's own browser; it is part of each list and event with that user. A
number of more than 4,300 digits, or thousands of nested brackets, are valid JSON that Python does not parse:
one user could stop every command, and the webhook of their own ban. Both are replaced by null, only after the
usual parser failed: other answers cost nothing more.
"""

from __future__ import annotations

import json
import re

DEPTH_MAX = 100
_TOKENS = re.compile(r'["\[\]{}]|\\.', re.DOTALL)


def read_payload(body: bytes) -> object:
    """Parse JSON, with None for numbers too long and values nested too deep; raise ValueError."""
    try:
        return json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise
    except (ValueError, RecursionError):
        text = body.decode(json.detect_encoding(body), "surrogatepass")
        return json.loads(_without_deep_values(text), parse_int=_int_or_none)


def _int_or_none(digits: str) -> int | None:
    try:
        return int(digits)
    except ValueError:
        return None


def _without_deep_values(text: str) -> str:
    """Return the JSON text with null for each array and object nested too deep, in one pass."""
    kept: list[str] = []
    start = deep = depth = 0
    in_string = False
    for token in _TOKENS.finditer(text):
        if token[0] == '"':
            in_string = not in_string
        elif in_string:
            continue
        elif token[0] in "[{":
            depth += 1
            if depth == DEPTH_MAX + 1:
                deep = token.start()
        elif token[0] in "]}":
            if depth == DEPTH_MAX + 1:
                kept += text[start:deep], "null"
                start = token.end()
            depth -= 1
    # An unclosed bracket is no JSON: its parser must report that, not the depth.
    kept.append(text[start : deep if depth > DEPTH_MAX else len(text)])
    return "".join(kept)
