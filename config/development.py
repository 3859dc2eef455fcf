"""The application for runserver, which runs the system checks itself and opens no HEALTH_PORT."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application

from accounts.conf import get_key_source
from config.headers import readable

application = readable(get_wsgi_application())
# runserver never forks, so the keys may be fetched before the first request.
get_key_source().start()
