"""URLs of the monitoring endpoints; `health.middleware.ProbeMiddleware` answers most requests for them."""

from __future__ import annotations

from django.urls import path

from health.middleware import PROBES, REPORTS

urlpatterns = [path(address.removeprefix("/"), view) for address, view in {**PROBES, **REPORTS}.items()]
