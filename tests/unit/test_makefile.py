"""What somebody who just cloned the repository is told."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_help_lists_every_target_that_says_what_it_does() -> None:
    told = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    described = re.findall(r"^([^\s:]+):.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert "test-s3" in described
    assert [line.split()[1] for line in told.splitlines() if line.startswith("  make ")] == described
