"""SIGTERM and a closed terminal unwind; while clearing up nothing interrupts."""

from __future__ import annotations

import os
import signal

import pytest

from demo.interruptions import interruptions_ignored, termination_raises


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_it_unwinds_with_the_usual_exit_status(number: signal.Signals, status: int) -> None:
    with pytest.raises(SystemExit) as ended, termination_raises():
        os.kill(os.getpid(), number)

    assert ended.value.code == status


def test_a_closed_terminal_is_no_matter_under_nohup() -> None:
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with termination_raises():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_ctrl_c_interrupts_also_where_a_shell_had_it_ignored() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), termination_raises():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_clearing_up_is_not_interrupted_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    with interruptions_ignored():
        os.kill(os.getpid(), number)

    assert signal.getsignal(number) is before
