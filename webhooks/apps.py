from __future__ import annotations

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = __package__
    # In the wheel, where the packages are below `clerk_sync`, the label begins with `clerk_`.
    label = name.replace("clerk_sync.", "clerk_")
    default_auto_field = "django.db.models.BigAutoField"
