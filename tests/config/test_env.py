"""The reader of the environment is strict, names every problem and never shows a value."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from config.env import Environment, Problem, read_dotenv

PROJECT = Path(__file__).parent.parent.parent
SECRETS = (
    "DJANGO_SECRET_KEY",
    "DATABASE_URL",
    "CLERK_SECRET_KEY",
    "CLERK_JWT_KEY",
    "CLERK_WEBHOOK_SIGNING_SECRET",
    "HEALTH_TOKEN",
)
CANARY = "canary-7f3a"
# A malformed value for each variable.
MALFORMED = {
    "DJANGO_DEBUG": CANARY,
    "DJANGO_HTTPS": CANARY,
    "DJANGO_ALLOWED_HOSTS": f"https://{CANARY}.example.com",
    "ALLOW_SQLITE": CANARY,
    "DATABASE_URL": f"mysql://user:{CANARY}@host/name",
    "CORS_ALLOWED_ORIGINS": f"https://{CANARY}.example/path",
    "CLERK_ISSUER": CANARY,
    "CLERK_JWKS_URL": CANARY,
    "CLERK_API_URL": CANARY,
    "PROMETHEUS_MULTIPROC_DIR": f"/dev/null/{CANARY}",
    "CLERK_CLOCK_SKEW_SECONDS": CANARY,
    "CLERK_ALLOW_MISSING_AZP": CANARY,
    "CLERK_ALLOW_TEMPLATE_TOKENS": CANARY,
    "CLERK_ALLOW_PENDING_SESSIONS": CANARY,
    "CLERK_ALLOW_IMPERSONATION": CANARY,
    "HEALTH_MISSED_WEBHOOK_MINUTES": CANARY,
    "HEALTH_WEBHOOK_LAG_SECONDS": CANARY,
    "HEALTH_KEYS_STALE_SECONDS": CANARY,
    **{f"{name}_FILE": f"/missing/{CANARY}" for name in SECRETS},
}


def problems(variables: dict[str, str]) -> list[Problem]:
    """Load the real settings in a new process and return their problems."""
    program = (
        "from config.settings import ENV_PROBLEMS\nfor problem in ENV_PROBLEMS: print(*problem, sep='\\t')"
    )
    developer, _ = read_dotenv(PROJECT / ".env")
    output = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PROJECT,
        env=dict.fromkeys(developer, "") | variables,
        check=True,
        capture_output=True,
        text=True,
    )
    assert CANARY not in output.stdout + output.stderr
    return [Problem(*line.split("\t")) for line in output.stdout.splitlines()]


def test_every_malformed_value_is_named_at_once() -> None:
    found = {problem.variable for problem in problems(MALFORMED)}

    assert found == {*MALFORMED, "DJANGO_SECRET_KEY"}


@pytest.mark.parametrize("variable", MALFORMED)
def test_a_malformed_value_is_named_alone(variable: str) -> None:
    name, message = problems({"DJANGO_SECRET_KEY": "x"} | {variable: MALFORMED[variable]})[-1]

    assert name == variable
    assert "must" in message or "is set together" in message


def test_an_empty_environment_is_valid_in_debug() -> None:
    assert problems({"DJANGO_DEBUG": "true"}) == []


def test_the_secret_key_has_no_default_outside_debug() -> None:
    assert [problem.variable for problem in problems({})] == ["DJANGO_SECRET_KEY"]


def test_empty_values_count_as_not_set() -> None:
    assert problems(dict.fromkeys(MALFORMED, "") | {"DJANGO_DEBUG": "1"}) == []


def test_a_value_is_stripped() -> None:
    assert Environment({"NAME": "  value \n"}).text("NAME") == "value"


def test_a_value_that_starts_with_a_dollar_is_literal() -> None:
    environment = Environment({"NAME": "$OTHER", "OTHER": "no"})

    assert environment.text("NAME") == environment.secret("NAME") == "$OTHER"


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_can_come_from_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from the file\n")

    assert Environment({f"{name}_FILE": str(file)}).secret(name) == "from the file"


def test_a_secret_with_both_variables_is_a_problem(tmp_path: Path) -> None:
    environment = Environment({"NAME": CANARY, "NAME_FILE": str(tmp_path)})

    environment.secret("NAME")

    assert [problem.variable for problem in environment.problems] == ["NAME_FILE"]
    assert CANARY not in environment.problems[0].message


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_secret_file_that_cannot_be_read_is_a_problem(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    if content:
        file.write_bytes(content)
    environment = Environment({"NAME_FILE": str(file)})

    assert environment.secret("NAME") == ""
    assert [problem.variable for problem in environment.problems] == ["NAME_FILE"]


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_secret_file_is_a_problem(content: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    environment = Environment({"NAME_FILE": str(file)})

    assert environment.secret("NAME") == ""
    assert [problem.variable for problem in environment.problems] == ["NAME_FILE"]


def test_a_file_for_a_variable_that_is_no_secret_is_a_problem() -> None:
    found = problems({"DJANGO_DEBUG": "true", "CLERK_PUBLISHABLE_KEY_FILE": f"/run/{CANARY}"})

    assert [problem.variable for problem in found] == ["CLERK_PUBLISHABLE_KEY_FILE"]
    assert found[0].message == "is not read, only secrets are: set CLERK_PUBLISHABLE_KEY itself"


def test_a_missing_folder_is_created(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there"

    assert Environment({"NAME": str(path)}).folder("NAME") == str(path)
    assert list(path.iterdir()) == []


@pytest.mark.parametrize("path", ["/dev/null", "/dev/null/below", "/proc", "/proc/below", "a\0b"])
def test_a_folder_without_write_access_is_a_problem(path: str) -> None:
    environment = Environment({"NAME": path})

    assert environment.folder("NAME") == ""
    assert environment.problems == [Problem("NAME", "must name a folder that this process can write to")]


def test_the_dotenv_file_never_overrides_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("TEST_HERE=file\nTEST_ONLY_FILE=file\n")
    monkeypatch.setenv("TEST_HERE", "process")

    environment = Environment.read(tmp_path / ".env")

    assert environment.text("TEST_HERE") == "process"
    assert environment.text("TEST_ONLY_FILE") == "file"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=value", "value"),
        ("export NAME = value ", "value"),
        ("NAME='a value'", "a value"),
        ('NAME="a # value"', "a # value"),
        ("NAME=$HOME", "$HOME"),
        ("NAME=a=b", "a=b"),
        ("NAME=", ""),
        ("NAME=\"unbalanced'", "\"unbalanced'"),
        (r'NAME="-----BEGIN-----\nline"', r"-----BEGIN-----\nline"),
    ],
)
def test_a_line_of_the_dotenv_file(line: str, value: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"# a comment\n\n{line}\n")

    assert read_dotenv(tmp_path / ".env") == ({"NAME": value}, [])


def test_an_invalid_line_is_named_by_its_number(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"NAME=value\n{CANARY}\n")

    environment = Environment.read(tmp_path / ".env")

    assert environment.problems == [Problem(".env", "line 2 must look like NAME=value")]


def test_no_dotenv_file_is_no_problem(tmp_path: Path) -> None:
    assert Environment.read(tmp_path / ".env").problems == []
