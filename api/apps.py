"""The API as a Django application."""

from __future__ import annotations

from django.apps import AppConfig


class APIConfig(AppConfig):
    """The endpoints, their errors and their description."""

    name = "api"
