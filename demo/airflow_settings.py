"""What the demonstration's Airflow is set to: loopback only, SQLite, no schedule, and quick to react.

Every secret in the file is made anew for each home, and the file is readable by its owner alone.
"""

from __future__ import annotations

import configparser
import json
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet

USER = "admin"
READER = "reader"  # may run DAGs and look at connections, not change them
ROLES = {USER: "admin", READER: "user"}


def reserved_port() -> socket.socket:
    """Return a socket on a loopback port that nobody else is given until it is closed.

    Nobody listens there yet; a server that asks for this very port may, as servers set SO_REUSEADDR.
    """
    reservation = socket.socket()
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reservation.bind(("127.0.0.1", 0))
    return reservation


def write_settings(home: Path, *, dag_folders: Sequence[Path], port: int, parallelism: int) -> dict[str, str]:
    """Write `airflow.cfg` and the password file under the home and return the password of each user.

    :param home: AIRFLOW_HOME, existing.
    :param dag_folders: each becomes a DAG bundle of its own.
    :param port: where the API server listens, on loopback.
    :param parallelism: how many tasks run at once; each costs a process from the start.
    """
    passwords = {user: secrets.token_urlsafe(18) for user in ROLES}
    passwords_file = home / "passwords.json"
    _write_private(passwords_file, json.dumps(passwords))
    parser = configparser.RawConfigParser()
    parser.read_dict(
        {
            "core": {
                "executor": "LocalExecutor",
                "parallelism": parallelism,
                "load_examples": False,
                "test_connection": "Enabled",
                "fernet_key": Fernet.generate_key().decode(),
                "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
                "auth_manager": "demo.auth_manager.ReadersLook",
                "simple_auth_manager_users": ",".join(f"{user}:{role}" for user, role in ROLES.items()),
                "simple_auth_manager_passwords_file": passwords_file,
            },
            "api": {
                "host": "127.0.0.1",
                "port": port,
                "base_url": f"http://127.0.0.1:{port}",
                "workers": 1,
                "secret_key": secrets.token_urlsafe(32),
            },
            "api_auth": {"jwt_secret": secrets.token_urlsafe(64)},
            "dag_processor": {
                "dag_bundle_config_list": json.dumps([_bundle(folder) for folder in dag_folders]),
                "parsing_processes": 2,
                "min_file_process_interval": 600,  # a file that changes is read at once all the same
            },
            # The defaults suit a cluster that runs for months: five-second heartbeats, and five minutes
            # before a task whose worker vanished is given up.
            "scheduler": {
                "use_job_schedule": False,  # nothing runs that nobody asked for
                "scheduler_heartbeat_sec": 1,
                "scheduler_idle_sleep_time": 0.2,
                "job_heartbeat_sec": 2,
                "trigger_timeout_check_interval": 2,
                "task_instance_heartbeat_timeout": 20,
                "task_instance_heartbeat_timeout_detection_interval": 2,
            },
            "triggerer": {"job_heartbeat_sec": 2, "triggerer_health_check_threshold": 10},
            # A task that gives the API server up too early on a busy machine waits minutes for its retry.
            "workers": {"min_heartbeat_interval": 2, "execution_api_timeout": 60},
            "logging": {"colored_console_log": False},
            "usage_data_collection": {"enabled": False},
        }
    )
    settings_file = home / "airflow.cfg"
    _write_private(settings_file, "")
    with settings_file.open("w") as stream:
        parser.write(stream)
    return passwords


def _bundle(folder: Path) -> dict[str, object]:
    return {
        "name": "-".join(folder.parts[-2:]),
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(folder)},
    }


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)  # touch leaves the mode of a file that was there already
    path.write_text(text)
