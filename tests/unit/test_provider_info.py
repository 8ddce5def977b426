from __future__ import annotations

import builtins
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
from airflow.providers_manager import ProvidersManager
from airflow.sdk._shared.secrets_masker import should_hide_value_for_key

from airflow_provider_visma.connections import CONNECTION_TYPES
from airflow_provider_visma.provider_info import get_provider_info

TYPES = [connection["connection-type"] for connection in CONNECTION_TYPES]


def test_the_metadata_keep_to_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_airflow_discovers_the_provider_under_its_distributions_name() -> None:
    assert "airflow-provider-visma" in ProvidersManager().providers


@pytest.mark.parametrize("connection", CONNECTION_TYPES, ids=TYPES)
def test_each_hook_exists_and_agrees_on_its_connection_type(connection: dict[str, Any]) -> None:
    module, _, name = connection["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert hook.conn_type == connection["connection-type"]
    assert hook.hook_name == connection["hook-name"]


@pytest.mark.parametrize("room", ["hooks", "operators", "sensors", "triggers"])
def test_each_module_that_is_named_exists(room: str) -> None:
    for entry in get_provider_info()[room]:
        for module in entry["python-modules"]:
            importlib.import_module(module)


def test_asking_for_the_metadata_imports_nothing_heavy() -> None:
    code = (
        "import sys; from airflow_provider_visma.provider_info import get_provider_info\n"
        "get_provider_info()\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'airflow', 'zeep', 'lxml', 'httpx', 'requests', 'aiohttp', 'pyarrow', 'scim2_models'}))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


@pytest.fixture
def no_wtforms(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    plain_import = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] in ("wtforms", "flask_appbuilder"):
            raise ModuleNotFoundError(name)
        return plain_import(name, *arguments, **more)

    for name in [name for name in sys.modules if name.partition(".")[0] in ("wtforms", "flask_appbuilder")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    HookMetaService.hook_meta_data.cache_clear()
    yield
    HookMetaService.hook_meta_data.cache_clear()


@pytest.mark.usefixtures("no_wtforms")
def test_the_form_is_complete_without_wtforms() -> None:
    forms = {form.connection_type: form for form in HookMetaService.hook_meta_data()}
    for connection in CONNECTION_TYPES:
        form = forms[connection["connection-type"]]
        assert form.hook_name == connection["hook-name"]
        assert form.standard_fields is not None
        assert form.extra_fields is not None
        assert set(form.extra_fields) == set(connection["conn-fields"])
        for hidden in set(connection["ui-field-behaviour"]["hidden-fields"]) & {"port", "login", "password"}:
            assert getattr(form.standard_fields, hidden).hidden is True
        for name, title in connection["ui-field-behaviour"]["relabeling"].items():
            field = getattr(form.standard_fields, "url_schema" if name == "schema" else name)
            assert field.title == title


REQUIRED = {"domain", "tenant_id"}


@pytest.mark.parametrize("connection", CONNECTION_TYPES, ids=TYPES)
def test_every_field_says_what_it_is_and_only_what_a_hook_insists_on_is_required(
    connection: dict[str, Any],
) -> None:
    for name, field in connection["conn-fields"].items():
        assert field["label"], name
        assert field["description"], name
        assert ("null" not in field["schema"]["type"]) == (name in REQUIRED), name


SECRETS = {"proxy", "refresh_token"}  # it may hold a password


@pytest.mark.parametrize("connection", CONNECTION_TYPES, ids=TYPES)
def test_what_may_be_secret_is_redacted_and_nothing_else(connection: dict[str, Any]) -> None:
    hidden = {name for name in connection["conn-fields"] if should_hide_value_for_key(name)}
    assert hidden == SECRETS & set(connection["conn-fields"])
