"""The image: the files that it contains, those that it does not, and that they are enough to start."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.env import read_dotenv
from tests.deploy.conftest import run_in
from tests.deploy.context import DOCKERFILES, ROOT, files, image_health_port, is_sent, program, unpack
from tests.packages import PRODUCT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=["product", "pgbouncer"])
def test_hadolint_finds_nothing(dockerfile: Path) -> None:
    done = subprocess.run([program("hadolint"), dockerfile], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_packages_and_three_files_are_sent() -> None:
    sent = [path for path in files() if is_sent(path)]
    assert {Path(path).parts[0] for path in sent} >= {*PRODUCT, "manage.py", "requirements.txt", "deploy"}
    assert [path for path in sent if path.startswith("deploy")] == ["deploy/gunicorn.conf.py"]


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "config/.env",
        "config/.env.production",
        ".git/config",
        ".venv/bin/python",
        "accounts/__pycache__/sync.cpython-311.pyc",
        "accounts/db.sqlite3-wal",
        "benchmarks/run.py",
        "clients/typescript/package.json",
        "db.sqlite3",
        "devclerk/server.py",
        "tests/proof/races.py",
        "requirements-dev.txt",
        "secrets.env",
        "tests/conftest.py",
        "frontend/node_modules/react/index.js",
    ],
)
def test_secrets_and_development_are_not_sent(path: str) -> None:
    assert not is_sent(path)


def test_a_package_is_sent_completely() -> None:
    assert is_sent("accounts/clerk/keys.py")
    assert is_sent("accounts/templates/clerk_sync/confirm.html")


def test_the_image_has_each_package_and_two_files(tmp_path: Path) -> None:
    unpack(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*PRODUCT, "manage.py", "gunicorn.conf.py"}
    (module,) = tmp_path.glob("accounts/clerk/keys.py")
    assert module.read_bytes() == (ROOT / "accounts/clerk/keys.py").read_bytes()


def test_a_new_app_is_in_the_image_and_another_new_folder_is_not(tmp_path: Path) -> None:
    clone, image = tmp_path / "clone", tmp_path / "app"
    image.mkdir()
    app = ("notes/__init__.py", "notes/migrations/0001_initial.py")
    others = ("infrastructure/key.pem", "key.pem", "devclerk/__init__.py")
    for path in (*app, *others, "manage.py", "deploy/gunicorn.conf.py"):
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).touch()

    unpack(image, root=clone)

    copied = {str(path.relative_to(image)) for path in image.rglob("*") if path.is_file()}
    assert copied == {"manage.py", "gunicorn.conf.py", *app}


def test_the_packages_start_without_the_rest(app: Path) -> None:
    variables, _ = read_dotenv(ROOT / ".env.example")
    complete = {
        "DJANGO_SECRET_KEY": "a secret of this test alone",
        "CLERK_PUBLISHABLE_KEY": "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k",
    }
    program = "import sys, django; django.setup(); sys.exit('devclerk' in sys.modules)"
    run_in(app, "-c", program, DJANGO_SETTINGS_MODULE="config.settings")
    run_in(app, "manage.py", "check", "--fail-level=ERROR", **variables | complete)
    assert (app / "staticfiles" / "admin" / "css" / "base.css.gz").exists()


def test_no_layer_holds_a_secret() -> None:
    declared = re.findall(r"^\s*(?:ARG|ENV) (.*)", DOCKERFILE, re.MULTILINE)
    names = {name for line in declared for name in re.findall(r"(\w+)=", line)}
    assert names == {
        "BASE",
        "HEALTH_PORT",
        "PATH",
        "PIP_DISABLE_PIP_VERSION_CHECK",
        "PIP_NO_CACHE_DIR",
        "PROMETHEUS_MULTIPROC_DIR",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONUNBUFFERED",
    }


def test_packages_are_installed_by_their_hashes() -> None:
    (install,) = re.findall(r"pip install (.*?) \\?\n", DOCKERFILE)
    assert {"--require-hashes", "--no-deps", "-r requirements.txt"} <= set(
        re.findall(r"-r \S+|--\S+", install)
    )


def test_it_runs_as_an_account_that_owns_no_file() -> None:
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert re.search(r"^USER [1-9][0-9]+:[1-9][0-9]+$", last, re.MULTILINE)
    assert "chown" not in DOCKERFILE


def health_command(port: int) -> list[str]:
    """Return the command of HEALTHCHECK for another HEALTH_PORT."""
    (command,) = re.findall(r"HEALTHCHECK .*?\n +CMD (\[.*\])", DOCKERFILE)
    program, *arguments = json.loads(command.replace(f":{image_health_port()}/", f":{port}/"))
    return [{"python": sys.executable}[program], *arguments]
