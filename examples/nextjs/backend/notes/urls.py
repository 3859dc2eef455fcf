"""The URLs of notes."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

from backend.notes.views import NoteViewSet

router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("api/v1/notes", NoteViewSet, basename="note")
urlpatterns = router.urls
