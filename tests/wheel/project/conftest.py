from __future__ import annotations

pytest_plugins = ["clerk_sync.devclerk.fixtures"]
