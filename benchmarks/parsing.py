"""What each DAG file costs the DAG processor beyond `import airflow.sdk`, each time in a new process."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 5
GOAL_SECONDS = 0.15
DAGS = Path(__file__).parents[1] / "dags"

# Airflow's own names are loaded lazily, and any DAG needs these.
MEASURE = """
import sys, time
from airflow.sdk import DAG, Asset, BaseOperator, BaseOperatorLink, BaseSensorOperator, ObjectStoragePath
from airflow.sdk import Param, RetryPolicy, dag, task, task_group
before = time.process_time()
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), {"__name__": "parsed"})
print(time.process_time() - before)
"""


def main() -> int:
    """Print CPU seconds per DAG file; return how many took too long."""
    print("Parsing a DAG file beyond airflow.sdk, median CPU seconds")
    slow = 0
    for path in sorted(DAGS.glob("*.py")):
        took = statistics.median(_parse(path) for _ in range(ROUNDS))
        slow += took >= GOAL_SECONDS
        print(f"  {path.stem:24} {took:.3f} s", flush=True)
    print(f"  goal: under {GOAL_SECONDS} s each: {'missed' if slow else 'met'}", flush=True)
    return slow


def _parse(path: Path) -> float:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    raise SystemExit(main())
