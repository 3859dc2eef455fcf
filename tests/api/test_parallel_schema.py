"""The first requests for the schema in a new process, all at once."""

from __future__ import annotations

import json
from pathlib import Path

from tests.config.test_settings import run

PROGRAM = """
import json, sys, threading
from collections import Counter
import django
from django.test import Client

django.setup()

sys.setswitchinterval(1e-5)  # switch threads as often as a busy machine does
start, statuses = threading.Barrier(16), []

def read():
    client = Client(raise_request_exception=False)
    start.wait()
    statuses.append(client.get("/api/schema").status_code)

threads = [threading.Thread(target=read) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(Counter(statuses)))
"""


def test_sixteen_first_requests_all_get_the_schema(tmp_path: Path) -> None:
    variables = {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DJANGO_DEBUG": "true",
        "DJANGO_ALLOWED_HOSTS": "testserver",
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "CLERK_ISSUER": "https://clerk.example.test",
        "CLERK_JWKS_URL": "http://127.0.0.1:1/jwks",
        "CLERK_AUTHORIZED_PARTIES": "https://app.example.test",
    }

    done = run("-c", PROGRAM, variables=variables)

    assert json.loads(done.stdout.splitlines()[-1]) == {"200": 16}, done.stderr
