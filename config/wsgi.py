"""The application for a WSGI server such as gunicorn."""

from __future__ import annotations

import os
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from django.core.wsgi import get_wsgi_application

from config.headers import readable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
_answer = readable(get_wsgi_application())

from config.startup import startup  # noqa: E402 - it imports models


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request; the first one of a process starts what `config.startup` describes."""
    startup.ensure_started()
    return _answer(environ, start_response)


startup.register()
