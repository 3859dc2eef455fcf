from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from health.metrics import KEY_FETCHES, KEY_SET_AGE, KeySampler, event_type, exposition

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
    """Run the work in a process of its own that shares the directory; give what it printed."""
    return subprocess.run(
        [sys.executable, "-c", WORKER.format(work=work)],
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
        check=True,
        stdout=subprocess.PIPE,
    ).stdout


READ = "import sys; sys.stdout.buffer.write(metrics.exposition())"


def test_one_process_tells_its_own_series() -> None:
    names = {name for name, _ in samples(exposition())}
    assert "clerk_webhook_lag_seconds_count" in names
    assert "python_info" in names


def test_the_counts_of_several_workers_add_up_dead_ones_included(tmp_path: Path) -> None:
    for number in (2, 3):
        in_worker(
            tmp_path,
            f"metrics.AUTHENTICATIONS.labels('ok').inc({number}); metrics.WEBHOOK_LAG.observe({number})",
        )
    found = samples(in_worker(tmp_path, READ))
    assert found["clerk_authentications_total", (("outcome", "ok"),)] == 5
    assert found["clerk_webhook_lag_seconds_count", ()] == 2
    assert found["clerk_webhook_lag_seconds_bucket", (("le", "2.5"),)] == 1


def test_the_key_set_age_of_a_dead_worker_is_forgotten(tmp_path: Path) -> None:
    in_worker(tmp_path, "metrics.KEY_SET_AGE.set(5000)")
    assert list(tmp_path.glob("gauge_livemax_*.db"))
    assert samples(in_worker(tmp_path, READ)).get(("clerk_key_set_age_seconds", ()), 0) != 5000


def test_the_directory_is_made_when_it_is_missing(tmp_path: Path) -> None:
    in_worker(tmp_path / "not" / "there", READ)
    assert (tmp_path / "not" / "there").is_dir()


@pytest.mark.parametrize("text", ["user.created", "user.updated", "user.deleted"])
def test_our_types_of_events_have_their_own_series(text: str) -> None:
    assert event_type(text) == text


def test_the_sampler_reads_the_keys_at_most_every_ten_seconds() -> None:
    sampler = KeySampler()
    sampler.sample()
    KEY_SET_AGE.set(-1)
    sampler.sample()
    assert KEY_SET_AGE._value.get() == -1
    assert KEY_FETCHES._labelnames == ("result",)
