"""`?search=`: the words of one line."""

from __future__ import annotations

from typing import Any

from rest_framework import filters
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

# Each word is asked of each field: of a thousand words SQLite makes an expression that it refuses.
MAX_LENGTH = 200


class SearchFilter(filters.SearchFilter):
    """REST framework's own, for a text of 200 characters at most; 400 beyond."""

    def get_search_terms(self, request: Request) -> list[str]:
        """Give the words."""
        if len(request.query_params.get(self.search_param, "")) > MAX_LENGTH:
            detail = f"A search has {MAX_LENGTH} characters at most."
            raise ValidationError({self.search_param: [detail]}, code="max_length")
        return super().get_search_terms(request)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Describe the parameter with its limit."""
        [parameter] = super().get_schema_operation_parameters(view)
        return [{**parameter, "schema": {**parameter["schema"], "maxLength": MAX_LENGTH}}]
