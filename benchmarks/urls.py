"""One URL for each peer, all with the same view; and the webhooks of the product."""

from __future__ import annotations

from django.urls import path

from benchmarks.peers import installed_peers
from benchmarks.views import CurrentUser
from webhooks.views import clerk_webhook

urlpatterns = [
    *(
        path(f"me/{peer.name}", CurrentUser.as_view(authentication_classes=[peer.authentication]))
        for peer in installed_peers()
    ),
    path("webhooks/clerk", clerk_webhook),
]
