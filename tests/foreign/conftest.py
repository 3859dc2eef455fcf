"""The tests in `cases` run inside a foreign project, in a process of its own: see `test_projects`."""

from __future__ import annotations

import os

collect_ignore_glob = ["cases/*"] if os.environ.get("DJANGO_SETTINGS_MODULE") == "config.settings" else []
