"""An upload to a Severa in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_visma.upload_ledger import write_once
from tests.unit.hour_entries.severa import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def counted(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Writing to the ledger is a step of the process too, before and after."""
    create = write_once.create

    def counting(path: ObjectStoragePath, content: Any) -> None:
        world.severa.process.step()
        create(path, content)
        world.severa.process.step()

    monkeypatch.setattr(write_once, "create", counting)
    return world
