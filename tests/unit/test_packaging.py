"""What a user installs: the wheel, and what Airflow reads of it."""

from __future__ import annotations

import subprocess
import sys
from email.parser import Parser
from importlib.metadata import entry_points
from pathlib import Path
from zipfile import ZipFile

import pytest
from airflow.providers_manager import _create_provider_info_schema_validator

import airflow_provider_visma
from airflow_provider_visma.provider_info import get_provider_info

ROOT = Path(__file__).parents[2]
DISTRIBUTION = "airflow-provider-visma"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return ZipFile(built)


def metadata(wheel: ZipFile, name: str) -> str:
    (path,) = [path for path in wheel.namelist() if path.endswith(f".dist-info/{name}")]
    return wheel.read(path).decode()


def test_the_wheel_holds_every_dag_where_airflow_looks_for_examples(wheel: ZipFile) -> None:
    expected = {f"airflow_provider_visma/example_dags/{dag.name}" for dag in (ROOT / "dags").glob("*.py")}

    assert expected
    assert expected <= set(wheel.namelist())


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: ZipFile) -> None:
    package = {str(path.relative_to(ROOT)) for path in ROOT.glob("airflow_provider_visma/**/*.py")}
    packed = {path for path in wheel.namelist() if ".dist-info/" not in path}

    assert package <= packed
    assert {path.split("/")[0] for path in packed} == {"airflow_provider_visma"}


def test_the_wheel_holds_what_the_pages_are_made_of(wheel: ZipFile) -> None:
    made_of = [
        str(path.relative_to(ROOT))
        for folder in ("templates", "static")
        for path in (ROOT / "airflow_provider_visma" / "plugin" / folder).rglob("*.*")
    ]

    assert made_of
    assert set(made_of) <= set(wheel.namelist())


def test_the_wheel_says_that_it_is_typed_and_carries_its_licence(wheel: ZipFile) -> None:
    assert "airflow_provider_visma/py.typed" in wheel.namelist()
    assert "Apache License" in metadata(wheel, "licenses/LICENSE")


def test_the_metadata_names_version_and_oldest_airflow(wheel: ZipFile) -> None:
    headers = Parser().parsestr(metadata(wheel, "METADATA"))

    assert headers["Name"] == DISTRIBUTION
    assert headers["Version"] == airflow_provider_visma.__version__
    assert headers["Requires-Python"] == ">=3.11"
    assert "apache-airflow>=3.3" in headers.get_all("Requires-Dist", [])


def test_airflow_finds_the_provider_by_its_entry_point() -> None:
    (found,) = [
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.dist is not None and point.dist.name == DISTRIBUTION
    ]

    assert found.load() is get_provider_info


def test_airflow_finds_the_plugin_by_its_entry_point(wheel: ZipFile) -> None:
    assert "[airflow.plugins]\nvisma = airflow_provider_visma.plugin:VismaPlugin\n" in metadata(
        wheel, "entry_points.txt"
    )


def test_the_provider_info_satisfies_airflows_own_schema() -> None:
    _create_provider_info_schema_validator().validate(get_provider_info())


def test_the_names_agree_as_airflow_needs_them_to() -> None:
    # the folder of the example DAGs is derived from the name of the distribution
    assert get_provider_info()["package-name"] == DISTRIBUTION
    assert DISTRIBUTION.replace("-", "_") == airflow_provider_visma.__name__
