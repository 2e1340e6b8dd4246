"""Calls to a network that nobody has to wait for."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from rag.encoders.parallel import in_parallel


def test_results_come_in_the_order_of_the_items() -> None:
    assert in_parallel(lambda item, _: item * item, list(range(50)), 4) == [each * each for each in range(50)]
    assert in_parallel(lambda item, _: item, [], 4) == []


def test_at_most_so_many_are_at_work_at_once() -> None:
    lock, inside, most = threading.Lock(), 0, 0

    def call(_: int, gone: threading.Event) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        gone.wait(0.01)
        with lock:
            inside -= 1

    in_parallel(call, list(range(20)), 3)
    assert most <= 3


def test_the_first_error_is_raised_and_the_others_are_told() -> None:
    told = threading.Event()

    def call(item: int, gone: threading.Event) -> None:
        if item == 0:
            raise ValueError("this one")
        if gone.wait(30):
            told.set()

    with pytest.raises(ValueError, match="this one"):
        in_parallel(call, list(range(4)), 4)
    assert told.wait(10)


def test_a_process_ends_though_calls_hang() -> None:
    hanging = (
        "import signal, threading, time\n"
        "from rag.encoders.parallel import in_parallel\n"
        "main = threading.get_ident()\n"
        "threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()\n"
        "in_parallel(lambda item, gone: time.sleep(300), [1, 2, 3], 2)\n"
    )
    ran = subprocess.run([sys.executable, "-c", hanging], capture_output=True, text=True, timeout=60, check=False)
    assert "KeyboardInterrupt" in ran.stderr
