"""Characters that a database cannot store, and those that make a text look like another one."""

from __future__ import annotations

import re

UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
# Control and bidirectional characters, and those without a width: the body of a character class.
_HIDDEN = "\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
# Joiners and tags are parts of scripts and emoji: usual in a name, and in no address.
_PART = rf"[^@\s{_HIDDEN}\u200c\u200d\U000e0000-\U000e007f]+"
EMAIL = re.compile(f"{_PART}@{_PART}")
_HIDDEN_CHARACTER = re.compile(f"[{_HIDDEN}]")


def replace_hidden(text: str) -> str:
    """Return the text with U+FFFD for each character that is invisible or reorders the others."""
    return _HIDDEN_CHARACTER.sub("\ufffd", text)
