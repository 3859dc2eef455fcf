from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

# Modules, not classes: Django looks for the only AppConfig in this one.
from accounts import apps as accounts_apps


class WebhooksConfig(AppConfig):
    name = __package__
    # In the wheel, where the packages are below `clerk_sync`, the label begins with `clerk_`.
    label = name.replace("clerk_sync.", "clerk_")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Import the models, which refer to those of other apps. Raises ImproperlyConfigured."""
        accounts_apps.require_installed(accounts_apps.AccountsConfig.name, app=self.name)
        super().import_models()

    def ready(self) -> None:
        autodiscover_modules("clerk_events")
