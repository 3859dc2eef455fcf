"""System checks: they report a setting that cannot work before the first request.

The checks read the settings when they run, and no message contains a secret. `manage.py`, runserver and
`config.wsgi` stop at an error. The import of this package registers them.
"""

from __future__ import annotations

from accounts.checks import authentication, database, identity, settings

__all__ = ["authentication", "database", "identity", "settings"]
