"""Each hot path beside its peers, in one run."""

import os

# What Airflow logs for people would stand between the figures.
os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
