"""What a measured process held at most."""

from __future__ import annotations

import re
from pathlib import Path


def peak_mib() -> float:
    """Return the MiB of memory that this process held at most since it began its program.

    What `getrusage` says would not do: there a process never held less than the one that started it.
    """
    found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
