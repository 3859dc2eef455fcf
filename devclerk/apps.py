from __future__ import annotations

from django.apps import AppConfig


class DevclerkConfig(AppConfig):
    name = "devclerk"
