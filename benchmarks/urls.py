"""One address for each contender, all with the same view; and the product's own."""

from __future__ import annotations

from django.urls import include, path

from benchmarks.contenders import contenders
from benchmarks.views import WhoAmI
from webhooks.views import clerk_webhook

urlpatterns = [
    *(
        path(f"who/{contender.name}", WhoAmI.as_view(authentication_classes=[contender.authentication]))
        for contender in contenders()
    ),
    path("webhooks/clerk", clerk_webhook),
    path("", include("api.urls")),
]
