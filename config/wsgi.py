"""The application for a WSGI server such as gunicorn."""

from __future__ import annotations

import os
import sys

from django.core.management.base import BaseCommand, SystemCheckError
from django.core.wsgi import get_wsgi_application

from config.headers import readable

# gunicorn takes this exit code of a worker for a failed start and stops; after another it would try for ever.
FAILED_TO_BOOT = 3


def refuse_bad_settings() -> None:
    """Run the system checks, which Django leaves to manage.py; at an error end the process with its text."""
    try:
        BaseCommand().check()
    except SystemCheckError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(FAILED_TO_BOOT)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = readable(get_wsgi_application())
refuse_bad_settings()

from accounts.conf import get_key_source  # noqa: E402 - the settings must be known to be good before

# Each worker fetches the keys at its own start and keeps trying: a request never waits for it.
get_key_source().start()
