"""`.ci/labels` refuses text that holds only where the packages have their own names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parent.parent.parent / ".ci/labels"


def run_check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECK)], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("accounts/x.py", 'get_model("accounts", "User")'),
        ("accounts/x.py", 'has_perm("accounts.change_user")'),
        ("accounts/x.py", 'import_module("health.receivers")'),
        ("accounts/x.py", 'template = "accounts/confirm.html"'),
        ("health/x.py", 'reverse("admin:webhooks_webhookevent_changelist")'),
        ("health/x.py", 'sql = f"SELECT {column} FROM health_syncfailure"'),
        ("health/x.html", "{% url 'admin:health_syncfailure_changelist' %}"),
        ("health/x.html", "{% if perms.webhooks.view_webhookevent %}"),
        ("health/x.html", "{% static 'accounts/admin.css' %}"),
    ],
)
def test_a_label_as_text_is_refused(tmp_path: Path, file: str, text: str) -> None:
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text(text)

    done = run_check(tmp_path)

    assert done.returncode == 1
    assert done.stdout.startswith(f"{file}:1: ")


def test_addresses_docstrings_and_imports_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "health").mkdir()
    (tmp_path / "health/x.py").write_text(
        '"""As accounts.sync does."""\nfrom accounts.sync import sync_user\nLIVE = "/health/live"\n'
    )

    assert run_check(tmp_path).returncode == 0
