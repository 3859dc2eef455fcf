"""The real addresses, and one beside them that answers what it was sent: the API itself takes no bodies."""

from __future__ import annotations

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config import urls

handler400, handler403, handler404, handler500 = (
    urls.handler400,
    urls.handler403,
    urls.handler404,
    urls.handler500,
)


class Echo(APIView):
    """Says what it has received, to whoever is signed in."""

    def post(self, request: Request) -> Response:
        return Response({"received": request.data})


urlpatterns = [
    path("api/test/echo", Echo.as_view()),
    path("", include("tests.clients.labels")),
    path("", include("config.urls")),
]
