"""The JSON of a note."""

from __future__ import annotations

from rest_framework import serializers

from backend.notes.models import Note


class NoteSerializer(serializers.ModelSerializer[Note]):
    """A note."""

    class Meta:
        model = Note
        fields = ("id", "title", "created_at")
        read_only_fields = ("created_at",)
