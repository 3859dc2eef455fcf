"""The filter for `?search=`, with a limit on the length."""

from __future__ import annotations

from typing import Any

from rest_framework import filters
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.views import APIView

# Each word is compared with each field: a thousand words exceed the expression depth of SQLite.
MAX_LENGTH = 200


class SearchFilter(filters.SearchFilter):
    """The filter of REST framework, with 400 for a text of more than 200 characters."""

    def get_search_terms(self, request: Request) -> list[str]:
        """Return the words; raise ValidationError if the text is too long."""
        if len(request.query_params.get(self.search_param, "")) > MAX_LENGTH:
            detail = f"A search has at most {MAX_LENGTH} characters."
            raise ValidationError({self.search_param: [detail]}, code="max_length")
        return super().get_search_terms(request)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Return the parameter with its limit."""
        [parameter] = super().get_schema_operation_parameters(view)
        return [{**parameter, "schema": {**parameter["schema"], "maxLength": MAX_LENGTH}}]
