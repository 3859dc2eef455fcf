"""Clerk's webhooks. `on` registers a project's own handlers of events: docs/handlers.md."""

from webhooks.registry import ClerkEvent, on

__all__ = ["ClerkEvent", "on"]
