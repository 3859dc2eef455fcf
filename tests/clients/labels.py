"""A resource for the tests of the TypeScript client, with operations that the product's API does not have.

Its schema is clients/typescript/tests/openapi.yaml. The client's generator writes `tests/generated` from it.
"""

from __future__ import annotations

from django.contrib.auth.models import Group
from rest_framework import serializers
from rest_framework.mixins import CreateModelMixin, DestroyModelMixin
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import GenericViewSet


class LabelSerializer(serializers.ModelSerializer[Group]):
    """A label with a unique name."""

    class Meta:
        model = Group
        fields = ("id", "name")


class LabelViewSet(CreateModelMixin, DestroyModelMixin, GenericViewSet[Group]):
    """Create and delete labels."""

    # Rows of a table that exists anyway: the tests need no migration of their own.
    serializer_class = LabelSerializer
    queryset = Group.objects.all()


router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("api/v1/labels", LabelViewSet, basename="label")
urlpatterns = router.urls
