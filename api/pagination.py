"""Numbered pages: `page` and `page_size`."""

from __future__ import annotations

from rest_framework import pagination


class PageNumberPagination(pagination.PageNumberPagination):
    """50 rows per page, or `page_size` rows, at most 100."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 100
    page_size_query_description = f"Rows per page, at most {max_page_size}."
