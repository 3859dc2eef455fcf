"""The addresses of the admin, and requests to its pages."""

from __future__ import annotations

from django.contrib.auth.models import Permission
from django.test import Client

from accounts.models import User

USERS = "/admin/accounts/user/"
EVENTS = "/admin/webhooks/webhookevent/"
FAILURES = "/admin/health/syncfailure/"
RUNS = "/admin/accounts/syncrun/"


def get_page(client: Client, address: str = USERS, **query: str) -> str:
    """Return the text of a page; fail unless its status is 200."""
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode()


def change_page(user: User) -> str:
    """Return the address of the page of one user."""
    return f"{USERS}{user.pk}/change/"


def sign_in_staff(*permissions: str) -> Client:
    """Return a client of a staff user with exactly these permissions."""
    user = User.objects.create_user("olaf", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client
