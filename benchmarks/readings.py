"""Readings of one answer by several readers, each in a process of its own, in turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from benchmarks.memory import peak_mib

Read = Callable[[int], int]
"""Reads an answer of so many items, and returns how many it found."""


def serve_answers(
    document_of: Callable[[str], bytes], answer_of: Callable[[str], bytes] | None = None
) -> None:
    """Serve until the process ends, and print the address first.

    :param document_of: the body for a path and query.
    :param answer_of: the body for the body of a request.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(document_of(self.path))

        def do_POST(self) -> None:
            assert answer_of is not None
            self._answer(answer_of(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/xml; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


def measure(readers: Mapping[str, Callable[[str], Read]], name: str, url: str, items: int) -> str:
    """Read once in this process, after a warm-up with one item; return seconds and peak MiB as JSON."""
    read = readers[name](url)
    assert read(1) == 1
    began = time.perf_counter()
    assert read(items) == items
    seconds = time.perf_counter() - began
    return json.dumps({"seconds": seconds, "peak": peak_mib()})


@dataclass
class Medians:
    """Seconds and peak MiB by reader and number of items."""

    seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    peak: dict[tuple[str, int], float] = field(default_factory=dict)

    def judge(
        self, name: str, *, peer: str, at: int, times: float, sizes: tuple[int, int], mib: float
    ) -> bool:
        """Print how much faster than its peer a reader is, and how its memory grows; whether that will do.

        :param at: size at which speed is compared.
        :param sizes: between which memory may grow by *mib*.
        """
        reached = self.seconds[peer, at] / self.seconds[name, at]
        growth = self.peak[name, sizes[1]] - self.peak[name, sizes[0]]
        met = reached >= times and growth < mib
        print(
            f"  {name}: {reached:.1f} times as fast as {peer} at {at:,} (goal {times:.0f}),"
            f" memory grows by {growth:.1f} MiB (goal under {mib:.0f}): {'met' if met else 'MISSED'}"
        )
        return met


def compare(module: str, names: tuple[str, ...], rounds: Mapping[int, int]) -> Medians:
    """Let all readers of *module* read answers of each size, in turns, and print the medians.

    In turns, so that a busy moment of the machine does not hit one of them alone.

    :param rounds: how often, by size.
    """
    medians = Medians()
    with tempfile.TemporaryDirectory(prefix="visma-benchmark-") as home, serving(module) as url:
        for size, times in rounds.items():
            runs = [
                (name, _in_a_process(module, name, url, size, home)) for _ in range(times) for name in names
            ]
            for name in names:
                mine = [run for each, run in runs if each == name]
                medians.seconds[name, size] = statistics.median(run["seconds"] for run in mine)
                medians.peak[name, size] = statistics.median(run["peak"] for run in mine)
                figures = f"{medians.seconds[name, size]:7.2f} s {medians.peak[name, size]:7.0f} MiB"
                print(f"  {size:7,} {name:20} {figures}", flush=True)
    return medians


@contextmanager
def serving(module: str) -> Iterator[str]:
    """Let *module* serve its answers in a process of its own, and return its address."""
    command = [sys.executable, "-m", module, "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def _in_a_process(module: str, name: str, url: str, items: int, home: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", module, "measure", name, url, str(items)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "AIRFLOW_HOME": home},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
