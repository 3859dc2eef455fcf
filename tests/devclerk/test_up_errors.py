"""`make run` that cannot start: what it prints, and that nothing continues to run."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.devclerk.runs import Start, is_free


def test_a_folder_that_cannot_be_used_is_named(start: Start, run_folder: Path) -> None:
    run_folder.write_text("a file")
    child = start()
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 1
    assert f"A file in {run_folder} cannot be used" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(("which", "name"), [(0, "PORT"), (1, "CLERK_PORT")])
def test_a_port_in_use_is_named_at_once(start: Start, ports: tuple[int, int], which: int, name: str) -> None:
    with socket.create_server(("127.0.0.1", ports[which])):
        child = start()
        _, errors = child.communicate(timeout=20)
    assert child.returncode == 1
    assert f"Port {ports[which]} cannot be used" in errors
    assert f"make run {name}=" in errors
    assert "Traceback" not in errors


def test_a_malformed_setting_is_shown_and_ends_both(start: Start, ports: tuple[int, int]) -> None:
    child = start(CLERK_CLAIMS="typo")
    _, errors = child.communicate(timeout=40)
    assert child.returncode == 1
    assert "CLERK_CLAIMS" in errors
    assert "The API cannot start" in errors
    assert is_free(ports[1])


def test_an_unreachable_database_is_one_message(start: Start, ports: tuple[int, int]) -> None:
    child = start(DATABASE_URL="postgres://user@127.0.0.1:9/nothing")
    _, errors = child.communicate(timeout=40)
    assert child.returncode == 1
    assert "Check DATABASE_URL" in errors
    assert "Traceback" not in errors
    assert is_free(ports[1])
