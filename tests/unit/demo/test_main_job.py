"""The demonstration has its folder to itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.main_job import DemonstrationError, _sole_use, surroundings


def test_a_second_demonstration_in_the_same_folder_is_refused_and_clears_nothing(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    with _sole_use(tmp_path):
        summary.write_text("{}")
        with pytest.raises(DemonstrationError, match="another one is using"), surroundings(tmp_path):
            pass

    assert summary.exists()
