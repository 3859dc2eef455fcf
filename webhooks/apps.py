from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class WebhooksConfig(AppConfig):
    name = __package__
    # In the wheel, where the packages are below `clerk_sync`, the label begins with `clerk_`.
    label = name.replace("clerk_sync.", "clerk_")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        autodiscover_modules("clerk_events")
