"""What the tests of the key store share."""

from __future__ import annotations

import threading


def key_threads() -> set[threading.Thread]:
    """Return the running threads of key stores."""
    return {each for each in threading.enumerate() if each.name.startswith("clerk-keys")}
