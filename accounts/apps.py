from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.core.exceptions import ImproperlyConfigured


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


def require_installed(*names: str, app: str) -> None:
    """Raise ImproperlyConfigured unless the apps with these names, which `app` needs, are installed.

    Otherwise the error is a RuntimeError about a model without an `app_label`.
    """
    for name in names:
        if not apps.is_installed(name):
            raise ImproperlyConfigured(f'"{app}" needs "{name}" in INSTALLED_APPS.')
