"""The folder `.run` of `make run`: what was copied from a run stays valid over a restart.

    .run/env                    link to the settings of the run that started last
    .run/frontend.env           link to the settings of its frontend
    .run/admin-password         of the superuser `admin`; the ports share one database by default
    .run/django-secret-key      signs the sessions of the admin
    .run/8000/env               the settings of the run with this port of the API
    .run/8000/frontend.env      the settings of a frontend with Clerk's packages
    .run/8000/keys.json         the keys that sign session tokens
    .run/8000/clerk-secret-key, .run/8000/webhook-secret

Delete a file, or the folder, to start with new ones. Only this account can read them.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

PRIVATE_FOLDER = 0o700
FRONTEND_HEADER = """\
# Written by `make run` for a Next.js application with Clerk's packages. For a real Clerk instance change four
# variables: both keys come from its dashboard, and CLERK_API_URL and CLERK_FAPI_URL are deleted.
"""


class RunFolder:
    """The kept files of a run. Its methods raise `OSError`."""

    def __init__(self, root: Path, *, port: int) -> None:
        self.root = root
        self.of_port = root / str(port)
        self.keys_file = self.of_port / "keys.json"
        self.env_file = self.of_port / "env"
        self.frontend_file = self.of_port / "frontend.env"

    def create(self) -> None:
        """Create the folders that are missing."""
        self.root.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        self.of_port.mkdir(exist_ok=True)
        self.of_port.chmod(PRIVATE_FOLDER)

    def write_env(self, variables: Mapping[str, str]) -> None:
        """Write the settings as lines for a shell, and link them as those of the last run."""
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        self._write(self.env_file, "".join(lines))

    def write_frontend_env(self, variables: Mapping[str, str]) -> None:
        """Write the settings of a frontend, as Next.js and Vite read them, and link them."""
        lines = (f"{name}={value}\n" for name, value in variables.items())
        self._write(self.frontend_file, FRONTEND_HEADER + "".join(lines))

    def _write(self, file: Path, text: str) -> None:
        write_private(file, text)
        link = self.root / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file.relative_to(self.root))


def keep_text(path: Path, *, new: Callable[[], str]) -> str:
    """Return the text of a file; without one create it with `new`. Raise `OSError` or `ValueError`."""
    text = path.read_text().strip() if path.exists() else ""
    if not text:
        text = new()
        write_private(path, f"{text}\n")
    return text


def write_private(path: Path, text: str) -> None:
    """Replace a file, as a whole or not at all, by one that only this account can read. Raise `OSError`."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        file.write(text)
    Path(file.name).replace(path)
