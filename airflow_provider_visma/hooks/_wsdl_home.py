"""Where WSDL documents are kept between tasks of one worker."""

from __future__ import annotations

import os
from pathlib import Path

from airflow_provider_visma.protocols.wsdl_cache import default_cache_dir


def wsdl_cache_dir() -> Path:
    """Return a directory below Airflow's home, or below the user's own cache directory."""
    airflow_home = os.environ.get("AIRFLOW_HOME")
    return Path(airflow_home) / "visma-wsdl" if airflow_home else default_cache_dir()
