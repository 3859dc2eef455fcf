"""The README is held against the code: what it shows works, and what it lists is all there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_view_passes_strict_mypy(tmp_path: Path) -> None:
    (view,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    module = tmp_path / "greeting.py"
    body = view.rstrip().splitlines()
    # What mypy reveals shows that the types are real ones, and not Any.
    body.insert(-1, "        reveal_type((request.user, request.auth))")
    module.write_text("\n".join(body) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", str(module)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "accounts.models.User, accounts.clerk.tokens.SessionClaims" in done.stdout


def test_every_setting_is_listed() -> None:
    example = (ROOT / ".env.example").read_text()
    names = set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))
    assert names
    assert names == set(re.findall(r"`([A-Z]+_[A-Z_]+)`", README.partition("## Settings")[2])) - {"X_FILE"}


def test_every_folder_and_file_it_points_to_is_there() -> None:
    links = re.findall(r"\]\(([^):]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_code_that_a_token_can_get_is_listed() -> None:
    source = (ROOT / "accounts/clerk/tokens.py").read_text()
    codes = set(re.findall(r'InvalidToken\(\s*"(\w+)"', source))
    errors = README.partition("## Errors")[2].partition("## Settings")[0]
    assert codes
    assert codes <= set(re.findall(r"`(\w+)`", errors))
