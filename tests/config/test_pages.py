"""The headers of HTML pages: nothing is loaded from other hosts, except pictures of Clerk's users."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.test import Client, RequestFactory

from accounts.models import User
from config.pages import PageHeadersMiddleware
from tests.config.admin.pages import USERS, change_page, get_page
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
PAGES = ("/admin/", USERS, "/admin/health/syncfailure/today/", "/admin/password_change/", "/api/docs")
CLERK_PICTURE = "https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCJ9"


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("helga"))
    return client


def policy(response: HttpResponseBase) -> dict[str, str]:
    """Return the sources by directive."""
    parts = [part.strip().partition(" ") for part in response.headers["Content-Security-Policy"].split(";")]
    return {name: sources for name, _, sources in parts if name}


@pytest.mark.parametrize("path", [*PAGES, "/admin/login/"])
def test_page_loads_from_its_own_host_alone(client: Client, path: str) -> None:
    response = (Client() if path == "/admin/login/" else client).get(path)
    assert response.status_code == 200
    directives = policy(response)
    images = directives.pop("img-src")
    assert images == "'self' data: https://img.clerk.com https://images.clerk.dev"
    assert set(directives.values()) == {"'self'", "'none'"}
    assert (directives["default-src"], directives["script-src"]) == ("'none'", "'self'")
    assert (directives["frame-ancestors"], directives["form-action"]) == ("'none'", "'self'")
    allowed = response.headers["Permissions-Policy"]
    assert "camera=()" in allowed
    assert "=*" not in allowed


@pytest.mark.parametrize("path", [*PAGES, "/admin/login/"])
def test_page_has_no_inline_script_or_style(client: Client, path: str) -> None:
    text = get_page(Client() if path == "/admin/login/" else client, path)
    for inline in ("<style", "<script>", " style=", " onclick="):
        assert inline not in text, inline


@pytest.mark.parametrize("path", ["/api/v1/me", "/health/live", "/api/nothing", "/api/docs?script="])
def test_other_answers_have_no_policy(client: Client, path: str) -> None:
    assert "Content-Security-Policy" not in client.get(path).headers


def test_view_may_have_a_policy_of_its_own(rf: RequestFactory) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("", headers={"Content-Security-Policy": "default-src https:"})

    answer: Callable[[HttpRequest], HttpResponseBase] = PageHeadersMiddleware(view)
    assert answer(rf.get("/")).headers["Content-Security-Policy"] == "default-src https:"


@pytest.mark.parametrize("address", [CLERK_PICTURE, "https://images.clerk.dev/a.png"])
def test_admin_shows_pictures_of_clerk(client: Client, address: str) -> None:
    ada = UserFactory.create(image_url=address)
    for text in (get_page(client), get_page(client, change_page(ada))):
        assert f'<img src="{address}"' in text


@pytest.mark.parametrize(
    "address",
    [
        "https://tracker.example/a.png",
        "https://img.clerk.com.tracker.example/a.png",
        "https://img.clerk.com@tracker.example/a.png",
        "http://img.clerk.com/a.png",
    ],
)
def test_admin_shows_no_pictures_of_other_hosts(client: Client, address: str) -> None:
    ada = UserFactory.create(image_url=address)
    for text in (get_page(client), get_page(client, change_page(ada))):
        assert f'src="{address}"' not in text
