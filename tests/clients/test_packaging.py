"""The packed TypeScript client in a fresh Vite app and a fresh Next.js app, which are in tests/clients/apps.

They install packages from npm and take a minute, so they run with REQUIRE_NODE=1 only, as in `.ci/run`.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CLIENT = PROJECT / "clients" / "typescript"
APPS = Path(__file__).parent / "apps"
SECONDS = 600
# The examples of the README whose first line names a file of the app.
EXAMPLE = re.compile(r"```tsx\n// (app/\S+)\n(.*?)```", re.DOTALL)
# clerk.example.test, which nothing asks during a build.
CLERK = {
    "NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY": "pk_test_" + base64.b64encode(b"clerk.example.test$").decode(),
    "CLERK_SECRET_KEY": "sk_test_nothing",
    "NEXT_TELEMETRY_DISABLED": "1",
}

pytestmark = [
    pytest.mark.builds_apps,
    pytest.mark.skipif(
        os.environ.get("REQUIRE_NODE") != "1",
        reason="fresh apps are installed from npm and built with REQUIRE_NODE=1 only",
    ),
]


def run(folder: Path, *command: str, **variables: str) -> str:
    """Run a command in the folder, fail with its output, and return its standard output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables},
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def create_app(name: str, folder: Path) -> Path:
    """Copy the app, and install the packed client as the README says."""
    app = folder / name
    shutil.copytree(APPS / name, app)
    [packed] = CLIENT.glob("django-clerk-sync-client-*.tgz")
    run(app, "npm", "install", "--silent", "--no-audit", "--no-fund", str(packed))
    copies = [*app.glob("**/node_modules/react/package.json")]
    assert copies == [app / "node_modules" / "react" / "package.json"], "a second React was installed"
    return app


def test_a_fresh_vite_app(tmp_path: Path) -> None:
    app = create_app("vite", tmp_path)
    run(CLIENT, "npm", "run", "--silent", "copy", OUT=str(app / "src" / "api"))

    run(app, "npm", "run", "--silent", "build")

    assert [*app.glob("dist/assets/*.js")]
    assert run(app, "node", "render.mjs") == "http://127.0.0.1:8000\n"
    assert run(app, "node", "common.cjs") == "true http_404 getMe\n"


def test_a_fresh_next_app_with_the_examples_of_the_readme(tmp_path: Path) -> None:
    app = create_app("next", tmp_path)
    examples = EXAMPLE.findall((CLIENT / "README.md").read_text())
    assert [name for name, _ in examples] == ["app/providers.tsx", "app/users.tsx", "app/page.tsx"]
    for name, text in examples:
        (app / name).write_text(text)

    output = run(app, "npx", "next", "build", **CLERK)

    assert re.search(r"◐ /$", output, re.MULTILINE), output
