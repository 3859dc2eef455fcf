from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig

# Modules, not classes: Django looks for the only AppConfig in this one.
from accounts import apps as accounts_apps
from webhooks import apps as webhooks_apps


class HealthConfig(AppConfig):
    name = __package__
    # In the wheel, where the packages are below `clerk_sync`, the label begins with `clerk_`.
    label = name.replace("clerk_sync.", "clerk_")
    default_auto_field = "django.db.models.BigAutoField"

    def import_models(self) -> None:
        """Import the models, which refer to those of other apps. Raises ImproperlyConfigured."""
        accounts_apps.require_installed(
            accounts_apps.AccountsConfig.name, webhooks_apps.WebhooksConfig.name, app=self.name
        )
        super().import_models()

    def ready(self) -> None:
        import_module(f"{self.name}.receivers")
