"""The project with e-mail login, with psycopg2 alone."""

import sys

# As if it were not installed: Django then uses psycopg2.
sys.modules["psycopg"] = None  # type: ignore[assignment]

from tests.foreign.mail import *  # noqa: E402, F403 - as settings files do
from tests.foreign.mail import DATABASES  # noqa: E402

DATABASES["default"]["TEST"] = {"NAME": "foreign_old_driver"}
