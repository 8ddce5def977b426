"""Never more calls in any second than the service allows."""

from __future__ import annotations

import threading

from airflow_provider_visma.hooks._call_pace import CallPace


class Time:
    """Moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_calls_up_to_the_limit_do_not_wait() -> None:
    time = Time()
    pace = CallPace(150, clock=time.clock, sleep=time.sleep)
    for _ in range(150):
        pace.wait()
    assert time.now == 100.0


def test_the_next_call_waits_until_the_first_is_a_second_old() -> None:
    time = Time()
    pace = CallPace(3, clock=time.clock, sleep=time.sleep)
    begun = []
    for _ in range(7):
        time.now += 0.25
        pace.wait()
        begun.append(time.now - 100)
    assert begun == [0.25, 0.5, 0.75, 1.25, 1.5, 1.75, 2.25]


def test_threads_share_the_limit() -> None:
    time = Time()
    pace = CallPace(10, clock=time.clock, sleep=time.sleep)
    begun: list[float] = []

    def call() -> None:
        for _ in range(20):
            pace.wait()
            begun.append(time.now)

    threads = [threading.Thread(target=call) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(begun) == 100
    assert time.now == 109.0
