"""The webhook endpoint, with and without a slash: Svix counts a redirect as a failed delivery."""

from __future__ import annotations

from django.urls import path

from webhooks.views import clerk_webhook

urlpatterns = [
    path("webhooks/clerk", clerk_webhook, name="clerk-webhook"),
    path("webhooks/clerk/", clerk_webhook),
]
