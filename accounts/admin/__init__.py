"""The admin of users and runs. Django imports this package to register them."""

from __future__ import annotations

from accounts.admin import runs, users

__all__ = ["runs", "users"]
