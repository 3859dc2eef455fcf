"""`make run` with real processes, an SQLite file and free ports."""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.devclerk.runs import ROOT, Start, greeting_of, is_free, stop
from tests.packages import PRODUCT


def test_everything_in_the_greeting_works(start: Start, ports: tuple[int, int], run_folder: Path) -> None:
    child = start(DEV_ADMIN_PASSWORD="a password for this test")
    greeting = greeting_of(child)
    api = f"http://127.0.0.1:{ports[0]}"

    # The curl command as printed.
    (line,) = [line.strip() for line in greeting.splitlines() if line.strip().startswith("curl")]
    header = shlex.split(line)[2]
    assert shlex.split(line)[-1] == f"{api}/api/v1/me"
    authorization = dict([header.split(": ", 1)])
    me = requests.get(f"{api}/api/v1/me", headers=authorization, timeout=10)
    assert me.status_code == 200, me.text
    assert me.json()["first_name"] == "Ada"

    # The sandbox, with the address of this API.
    sandbox = requests.get(f"http://127.0.0.1:{ports[1]}/sandbox", timeout=10)
    assert f"http://127.0.0.1:{ports[1]}/sandbox" in greeting
    assert f'data-api="{api}"' in sandbox.text

    # The login of the admin.
    with requests.Session() as browser:
        home = sign_in_to_admin(browser, api, password="a password for this test")
        assert home.url == f"{api}/admin/"
    assert "a password for this test" in greeting

    # The file for other terminals, and a change that arrives by webhook.
    script = f". {run_folder}/env && {sys.executable} manage.py devclerk update ada --first-name Augusta"
    done = subprocess.run(
        ["sh", "-c", script],  # noqa: S607 - any sh
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ": 200 " in done.stdout
    me = requests.get(f"{api}/api/v1/me", headers=authorization, timeout=10)
    assert me.json()["first_name"] == "Augusta"

    # Ctrl-C ends both.
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=20)
    assert child.returncode == 0
    assert is_free(ports[0])
    assert is_free(ports[1])


def sign_in_to_admin(browser: requests.Session, api: str, *, password: str) -> requests.Response:
    """Sign in as the superuser `admin` and return the page that follows."""
    page = browser.get(f"{api}/admin/login/", timeout=10)
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found
    form = {"username": "admin", "password": password, "csrfmiddlewaretoken": found[1], "next": "/admin/"}
    return browser.post(f"{api}/admin/login/", data=form, timeout=10)


def status_of(api: str, token: str) -> int:
    """Return the status of /api/v1/me for a token."""
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{api}/api/v1/me", headers=headers, timeout=10).status_code


def test_what_was_copied_from_a_run_is_valid_after_a_restart(
    start: Start, ports: tuple[int, int], run_folder: Path
) -> None:
    api, control = f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}/_dev"
    first = start()
    greeting = greeting_of(first)
    (token,) = re.findall(r"Bearer ([\w.-]+)", greeting)
    (password,) = re.findall(r"admin, (\S+)", greeting)
    requests.post(f"{control}/rotate", json={"keep_old": True}, timeout=10).raise_for_status()
    body = {"expires": 3600}
    rotated = requests.post(f"{control}/people/grace/token", json=body, timeout=10).json()["token"]
    settings = (run_folder / "env").read_text()
    with requests.Session() as browser:
        assert sign_in_to_admin(browser, api, password=password).url == f"{api}/admin/"
        stop(first)
        assert (run_folder / "env").read_text() == settings

        assert f"admin, {password}\n" in greeting_of(start())
        assert (run_folder / "env").read_text() == settings
        assert (status_of(api, token), status_of(api, rotated)) == (200, 200)
        assert browser.get(f"{api}/admin/", timeout=10).url == f"{api}/admin/"


def test_only_this_account_can_read_what_is_kept(
    start: Start, ports: tuple[int, int], run_folder: Path
) -> None:
    greeting_of(start())

    modes = {
        str(path.relative_to(run_folder.parent)): stat.S_IMODE(path.stat().st_mode)
        for path in (run_folder, *run_folder.rglob("*"))
    }
    port = ports[0]
    folders = {"run", f"run/{port}"}
    in_root = {"env", "admin-password", "django-secret-key"}
    of_port = {"env", "frontend.env", "keys.json", "clerk-secret-key", "webhook-secret"}
    assert {name for name, mode in modes.items() if mode == 0o700} == folders
    assert {name for name, mode in modes.items() if mode == 0o600} == {
        *(f"run/{name}" for name in in_root),
        *(f"run/{port}/{name}" for name in of_port),
        "run/frontend.env",
    }
    assert len(modes) == 11
    for name in ("env", "frontend.env"):
        assert (run_folder / name).resolve() == run_folder / str(port) / name


def test_a_frontend_finds_its_variables(start: Start, ports: tuple[int, int], run_folder: Path) -> None:
    assert f"For a frontend      {run_folder}/{ports[0]}/frontend.env" in greeting_of(start())

    lines = (run_folder / "frontend.env").read_text().splitlines()
    variables = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    clerk = f"http://127.0.0.1:{ports[1]}"
    users = requests.get(
        f"{variables['CLERK_API_URL']}/v1/users",
        headers={"Authorization": f"Bearer {variables['CLERK_SECRET_KEY']}"},
        timeout=10,
    )
    assert users.status_code == 200, users.text
    encoded = variables["NEXT_PUBLIC_CLERK_PUBLISHABLE_KEY"].removeprefix("pk_live_")
    assert base64.b64decode(f"{encoded}==").decode() == f"127.0.0.1:{ports[1]}$"
    assert (variables["CLERK_FAPI_URL"], variables["CLERK_API_URL"]) == (clerk, clerk)
    live = requests.get(f"{variables['NEXT_PUBLIC_API_URL']}/health/live", timeout=10)
    assert live.status_code == 200


def test_a_frontend_on_any_port_and_a_given_origin_may_call_the_api(
    start: Start, ports: tuple[int, int]
) -> None:
    api, control = f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}/_dev"
    greeting_of(start(CORS_ALLOWED_ORIGINS="chrome-extension://abc"))

    for origin, status in (
        ("http://localhost:5173", 200),
        ("chrome-extension://abc", 200),
        ("http://localhost.evil.example", 401),
    ):
        body = {"azp": origin}
        token = requests.post(f"{control}/people/ada/token", json=body, timeout=10).json()["token"]
        headers = {"Origin": origin, "Authorization": f"Bearer {token}"}
        answer = requests.get(f"{api}/api/v1/me", headers=headers, timeout=10)
        assert answer.status_code == status, answer.text
        allowed = answer.headers.get("Access-Control-Allow-Origin")
        assert allowed == (origin if status == 200 else None)


def test_further_fields_of_a_run_are_those_of_its_commands(
    start: Start, ports: tuple[int, int], run_folder: Path
) -> None:
    names, claims = "phone_number,public_metadata", "email=email,phone_number=phone_number"
    greeting_of(start(CLERK_EXTRA_FIELDS=names, CLERK_CLAIMS=claims))

    lines = (run_folder / "env").read_text().splitlines()
    assert {f"export CLERK_EXTRA_FIELDS={names}", f"export CLERK_CLAIMS={claims}"} <= set(lines)


def test_a_change_of_the_code_reaches_the_api(start: Start, ports: tuple[int, int], tmp_path: Path) -> None:
    tree = tmp_path / "project"
    for part in (*PRODUCT, "devclerk"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", tree)
    api = f"http://127.0.0.1:{ports[0]}"
    (token,) = re.findall(r"Bearer ([\w.-]+)", greeting_of(start(tree)))
    assert status_of(api, token) == 200

    views = tree / "api" / "views.py"
    code = views.read_text()
    write_until(views, f"{code}\nbroken(", lambda: is_free(ports[0]))
    old = "return Response(UserSerializer(request.user).data)"
    assert old in code
    changed = code.replace(old, "return Response({}, status=202)")
    write_until(views, changed, lambda: not is_free(ports[0]) and status_of(api, token) == 202)


def write_until(path: Path, text: str, is_true: Callable[[], bool]) -> None:
    """Write the file every ten seconds: Django's reloader misses a change within a second of its start."""
    for attempt in range(600):
        if attempt % 100 == 0:
            path.write_text(text)
        if is_true():
            return
        time.sleep(0.1)
    pytest.fail("The change has no effect within a minute.")


def test_the_api_goes_on_without_the_emulator(start: Start, ports: tuple[int, int]) -> None:
    child = start()
    (header,) = re.findall(r'Authorization: [^"]+', greeting_of(child))
    found = subprocess.run(
        ["pgrep", "-P", str(child.pid), "-f", "devclerk serve"],  # noqa: S607 - any pgrep
        capture_output=True,
        text=True,
        check=True,
    )
    os.kill(int(found.stdout), signal.SIGKILL)
    assert child.stdout
    assert "goes on" in child.stdout.readline() + child.stdout.readline()
    me = requests.get(
        f"http://127.0.0.1:{ports[0]}/api/v1/me", headers=dict([header.split(": ", 1)]), timeout=10
    )
    assert me.status_code == 200, me.text
