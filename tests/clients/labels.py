"""A resource for the tests of the TypeScript client, with operations that the product's API does not have.

Its schema is clients/typescript/tests/openapi.yaml. The client's generator writes `tests/generated` from it.
"""

from __future__ import annotations

from django.contrib.auth.models import Group
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import ModelViewSet

COLORS = ("red", "green")


class LabelSerializer(serializers.ModelSerializer[Group]):
    """A label with a unique name."""

    color = serializers.SerializerMethodField()

    class Meta:
        model = Group
        fields = ("id", "name", "color")

    @extend_schema_field(serializers.ChoiceField(choices=COLORS))
    def get_color(self, label: Group) -> str:
        """Return one value of the enum."""
        return COLORS[label.pk % len(COLORS)]


class LabelViewSet(ModelViewSet[Group]):
    """List, create, read, change and delete labels."""

    # Rows of a table that exists anyway: the tests need no migration of their own.
    serializer_class = LabelSerializer
    queryset = Group.objects.order_by("pk")
    search_fields = ("name",)


router = SimpleRouter(trailing_slash=False, use_regex_path=False)
router.register("api/v1/labels", LabelViewSet, basename="label")
urlpatterns = router.urls
