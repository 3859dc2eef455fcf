"""The admin of users and runs. Django imports this package to register them."""

from __future__ import annotations

from accounts.admin import accounts, runs, users

__all__ = ["accounts", "runs", "users"]
