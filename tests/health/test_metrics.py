from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from health.metrics import event_label, render_series

WORKER = """
import django
django.setup()
from health import metrics
{work}
"""


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def in_worker(directory: Path, work: str) -> bytes:
    """Run the code in another process that shares the directory, and return its output."""
    return subprocess.run(
        [sys.executable, "-c", WORKER.format(work=work)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout


READ = "import sys; sys.stdout.buffer.write(metrics.render_series())"


def test_one_process_renders_its_own_series() -> None:
    names = {name for name, _ in samples(render_series())}
    assert "clerk_webhook_lag_seconds_count" in names
    assert "python_info" in names


def test_counts_of_all_workers_add_up_including_dead_ones(tmp_path: Path) -> None:
    for number in (2, 3):
        in_worker(
            tmp_path,
            f"metrics.AUTHENTICATIONS.labels('ok').inc({number}); metrics.WEBHOOK_LAG.observe({number})",
        )
    found = samples(in_worker(tmp_path, READ))
    assert found["clerk_authentications_total", (("outcome", "ok"),)] == 5
    assert found["clerk_webhook_lag_seconds_count", ()] == 2
    assert found["clerk_webhook_lag_seconds_bucket", (("le", "2.5"),)] == 1


def test_key_set_age_of_a_dead_worker_is_removed(tmp_path: Path) -> None:
    in_worker(tmp_path, "metrics.KEY_SET_AGE.set(5000)")
    assert list(tmp_path.glob("gauge_livemax_*.db"))
    assert samples(in_worker(tmp_path, READ)).get(("clerk_key_set_age_seconds", ()), 0) != 5000


def test_missing_directory_is_created(tmp_path: Path) -> None:
    in_worker(tmp_path / "not" / "created", READ)
    assert (tmp_path / "not" / "created").is_dir()


@pytest.mark.parametrize("text", ["user.created", "user.updated", "user.deleted"])
def test_handled_types_of_events_have_their_own_series(text: str) -> None:
    assert event_label(text) == text
