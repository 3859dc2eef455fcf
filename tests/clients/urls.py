"""The real URLs and endpoints for the client's tests: the API itself accepts no body and deletes nothing."""

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
    """Return the received body, for every signed-in user."""

    def post(self, request: Request) -> Response:
        return Response({"received": request.data})


urlpatterns = [
    path("api/test/echo", Echo.as_view()),
    path("", include("tests.clients.labels")),
    path("", include("config.urls")),
]
