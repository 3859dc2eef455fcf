"""The endpoints of notes."""

from __future__ import annotations

from django.db.models import QuerySet
from rest_framework import mixins
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet

from accounts.authentication import AuthenticatedRequest
from backend.notes.models import Note
from backend.notes.serializers import NoteSerializer


class NoteViewSet(
    mixins.ListModelMixin, mixins.CreateModelMixin, mixins.DestroyModelMixin, GenericViewSet[Note]
):
    """List, create and delete the notes of the user. A note of another user is 404."""

    request: AuthenticatedRequest
    queryset = Note.objects.all()
    serializer_class = NoteSerializer
    lookup_value_converter = "int"

    def get_queryset(self) -> QuerySet[Note]:
        """Return the notes of the user; the generator of the schema has a user without a key."""
        return super().get_queryset().filter(owner=self.request.user.pk)

    def perform_create(self, serializer: BaseSerializer[Note]) -> None:
        """Save a note of the user."""
        serializer.save(owner=self.request.user)
