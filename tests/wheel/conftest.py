"""The tests in `project` run inside that project, in a process of their own."""

from __future__ import annotations

collect_ignore = ["project"]
