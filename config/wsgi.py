"""The application for a WSGI server such as gunicorn."""

from __future__ import annotations

import os
import sys

from django.core.management.base import BaseCommand, SystemCheckError
from django.core.wsgi import get_wsgi_application

from config.headers import readable

# gunicorn stops when a worker exits with this status; after any other status it starts workers without end.
WORKER_BOOT_ERROR_STATUS = 3


def require_valid_settings() -> None:
    """Run the system checks, which only manage.py does by itself. Print an error and raise `SystemExit`."""
    try:
        BaseCommand().check()
    except SystemCheckError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(WORKER_BOOT_ERROR_STATUS)


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
application = readable(get_wsgi_application())
require_valid_settings()

from accounts.conf import get_key_source  # noqa: E402 - the settings are checked before

# Each worker fetches the keys when it starts, and retries: no request waits for that.
get_key_source().start()
