"""The audit log, logger `security`: sign-ins, changes of rights, and what operators do to users."""

from __future__ import annotations

from accounts.audit.log import SecurityEvent, client_address, describe, hash_name, log_after_commit, log_event

__all__ = ["SecurityEvent", "client_address", "describe", "hash_name", "log_after_commit", "log_event"]
