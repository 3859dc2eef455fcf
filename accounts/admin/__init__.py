"""The admin of users, groups and runs. Django imports this package to register them."""

from __future__ import annotations

from accounts.admin import accounts, groups, runs, users

__all__ = ["accounts", "groups", "runs", "users"]
