"""`python -m demo run` shows the main job and checks it; `python -m demo up` leaves everything running."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from demo.interruptions import termination_raises
from demo.main_job import ROOT, DemonstrationError, run, surroundings


def main() -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("command", choices=("run", "up"))
    parser.add_argument("--folder", type=Path, default=ROOT / ".demo", help="keeps Dialog's users and logs")
    chosen = parser.parse_args()
    try:
        with termination_raises():
            if chosen.command == "run":
                run(chosen.folder)
            else:
                _stay_up(chosen.folder)
    except KeyboardInterrupt:
        return 130 if chosen.command == "run" else 0
    except (DemonstrationError, RuntimeError, OSError) as reason:
        print(f"The demonstration failed: {reason}", file=sys.stderr)
        print(f"Airflow's logs are in {chosen.folder / 'airflow' / 'logs'}", file=sys.stderr)
        return 1
    return 0


def _stay_up(folder: Path) -> None:
    print("Starting Airflow and the sandbox; Ctrl-C stops both.", flush=True)
    with surroundings(folder) as (sandbox, airflow):
        print(f"Airflow  {airflow.url}")
        for user, password in airflow.passwords.items():
            print(f"         user {user}, password {password}")
        print(f"Sandbox  {sandbox.url}", flush=True)
        signal.pause()


if __name__ == "__main__":
    raise SystemExit(main())
