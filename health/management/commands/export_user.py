"""Print all that is stored about one user."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from accounts.audit import SecurityEvent, log_event
from accounts.management.operator import FINE, SOME_LEFT, OperatorCommand
from health.export import build_export


class Command(OperatorCommand):
    """`export_user`: 0 printed, 1 the user is unknown, 2 it could not run."""

    help = "Print all that is stored about one user, as one JSON document."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the argument."""
        parser.add_argument("clerk_id", metavar="CLERK_ID")

    def work(self, *, clerk_id: str, **_: Any) -> int:
        """Print the document, and log that it was printed."""
        document = build_export(clerk_id)
        if document is None:
            self.stderr.write("Nothing is stored about this user.")
            return SOME_LEFT
        log_event(SecurityEvent.USER_EXPORTED, clerk_id=clerk_id)
        self.stdout.write(json.dumps(document, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False))
        return FINE
