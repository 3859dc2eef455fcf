"""The tests in `cases` and `own_cases` run inside the projects, in processes of their own."""

from __future__ import annotations

import os

# This module is also loaded inside the projects.
IS_PROJECT = os.environ.get("DJANGO_SETTINGS_MODULE") != "config.settings"
collect_ignore_glob = [] if IS_PROJECT else ["cases/*", "own_cases/*"]
