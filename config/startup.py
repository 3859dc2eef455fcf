"""What a server process runs besides its requests: the refreshing of the keys, and the probes' own listener.

Note [No thread before a fork]
A thread that runs during a fork may hold a lock, such as that of an import. The child has a copy of the lock
and no thread that would release it. So a process that imports the application, and may fork its workers
afterwards (gunicorn --preload), starts no thread and opens no port. These start both:

- a process that was forked from the one that imported the application;
- a worker of gunicorn that imports the application itself (without --preload), when the import ends;
- an ASGI server, when it starts to serve (the lifespan of `config.asgi`);
- any other process, such as a server that never forks, at its first request.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from django.conf import settings
from django.core.checks import CheckMessage, Info, register
from django.core.management.base import BaseCommand, SystemCheckError

from accounts.clerk.unexpected import log_unexpected
from accounts.conf import get_key_source
from api.middleware import choose_request_id
from health.listener import Listener, PortTaken

# gunicorn stops when a worker exits with this status; after any other status it starts workers without end.
WORKER_BOOT_ERROR_STATUS = 3

logger = logging.getLogger(__name__)


class Startup:
    """Starts the threads of a server process once: Note [No thread before a fork]."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started_in: int | None = None
        self._listener: Listener | None = None

    def register(self) -> None:
        """Start in a worker that has imported the application, else when this process forks a worker.

        Ends the process with a sentence if a setting is wrong or HEALTH_PORT is taken.
        """
        _require_valid_settings()
        _require_free_port()
        os.register_at_fork(after_in_child=self._after_fork)
        if _is_gunicorn_worker():
            self._start_or_exit(sys.exit)

    def ensure_started(self) -> None:
        """Start in a process that has not started yet: its first request is its first use."""
        if self._started_in == os.getpid():
            return
        with self._lock:
            if self._started_in != os.getpid():
                try:
                    self._start()
                except PortTaken as taken:  # it was free at the import; requests are answered without it
                    logger.error(str(taken))  # noqa: TRY400 - the sentence names the cause and the fix
                except RuntimeError as error:  # no more threads; requests fetch the keys that they need
                    log_unexpected(logger, "The keys or the probes' listener did not start", error=error)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        if self._started_in is None:
            self._start_or_exit(os._exit)  # an exception would not leave this hook
        elif self._listener is not None:
            # A process that a worker forks for itself gets no probes.
            self._listener.leave_to_parent()
            self._listener = None

    def _start_or_exit(self, leave: Callable[[int], object]) -> None:
        try:
            self._start()
        except PortTaken as taken:
            _print_error(str(taken))
            leave(WORKER_BOOT_ERROR_STATUS)

    def _start(self) -> None:
        self._started_in = os.getpid()
        get_key_source().start()
        if settings.HEALTH_PORT:
            listener = Listener(settings.HEALTH_PORT, choose_request_id=choose_request_id)
            listener.start()
            self._listener = listener


@register
def check_secret_key(**_: object) -> list[CheckMessage]:
    """Report the secret key of the Backend API in a server process: no request of the API needs it."""
    if settings.DEBUG or not settings.CLERK_SECRET_KEY:
        return []
    uses = "only commands do"
    if settings.ADMIN_ENABLED:
        uses += ", and Sync again and Restore in the admin"
    return [
        Info(
            f"CLERK_SECRET_KEY is set in a server process. No request of the API uses it: {uses}.",
            hint="Leave it out of the processes that the internet reaches: docs/operations.md, Secrets.",
            id="config.I001",
        )
    ]


def _require_valid_settings() -> None:
    """Run the system checks, which only manage.py does by itself; an error ends the process with its text."""
    try:
        BaseCommand().check()
    except SystemCheckError as error:
        _print_error(str(error))
        sys.exit(WORKER_BOOT_ERROR_STATUS)


def _require_free_port() -> None:
    """End the process with a sentence if another program has HEALTH_PORT."""
    if not settings.HEALTH_PORT:
        return
    try:
        Listener(settings.HEALTH_PORT, choose_request_id=choose_request_id).close()
    except PortTaken as taken:
        _print_error(str(taken))
        sys.exit(WORKER_BOOT_ERROR_STATUS)


def _print_error(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _is_gunicorn_worker() -> bool:
    """Return whether this is a worker of gunicorn: its signals are handled by a `Worker`.

    A worker installs them before it imports the application. The master that preloads it does not.
    """
    base = sys.modules.get("gunicorn.workers.base")
    handler = signal.getsignal(signal.SIGUSR1)
    return base is not None and isinstance(getattr(handler, "__self__", None), base.Worker)


startup = Startup()
