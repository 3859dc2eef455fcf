from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps


class AccountsConfig(AppConfig):
    name = __package__
    # In the wheel, where the packages are below `clerk_sync`, the label begins with `clerk_`.
    label = name.replace("clerk_sync.", "clerk_")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module(f"{self.name}.checks")
        import_module(f"{self.name}.audit.receivers")
        if apps.is_installed("drf_spectacular"):
            # drf-spectacular knows the extensions that have been imported.
            import_module(f"{self.name}.openapi")
