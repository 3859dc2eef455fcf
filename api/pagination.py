"""Numbered pages: `page` and `page_size`."""

from __future__ import annotations

from rest_framework import pagination


class PageNumberPagination(pagination.PageNumberPagination):
    """50 rows a page unless `page_size` asks for another number, 100 at most."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 100
    page_size_query_description = f"Rows on a page, {max_page_size} at most."
