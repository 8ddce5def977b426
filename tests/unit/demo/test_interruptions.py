"""SIGTERM unwinds; while clearing up nothing interrupts."""

from __future__ import annotations

import os
import signal

import pytest

from demo.interruptions import interruptions_ignored, termination_raises


def test_sigterm_unwinds_with_the_usual_exit_status() -> None:
    with pytest.raises(SystemExit) as ended, termination_raises():
        os.kill(os.getpid(), signal.SIGTERM)

    assert ended.value.code == 143


def test_ctrl_c_interrupts_also_where_a_shell_had_it_ignored() -> None:
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), termination_raises():
            os.kill(os.getpid(), signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_clearing_up_is_not_interrupted_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)

    with interruptions_ignored():
        os.kill(os.getpid(), number)

    assert signal.getsignal(number) is before
