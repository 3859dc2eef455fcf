"""The Python packages of this folder. A clone may have added apps of its own."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = tuple(sorted(path.parent.name for path in ROOT.glob("*/__init__.py")))
# The image does not contain these.
DEVELOPMENT = ("benchmarks", "devclerk", "tests")
PRODUCT = tuple(name for name in PACKAGES if name not in DEVELOPMENT)
