"""Run a command in this process's group, and end that group when asked, or when the parent is gone.

    python -I -S watchdog.py PARENT_PID ORPHAN_GRACE_S COMMAND...

vLLM is a tree of processes: killed with SIGKILL, its API server leaves its engine and worker running, with gigabytes of
memory. So the parent starts this script instead, in a session of its own, and holds the other end of its stdin:

- a number on stdin: SIGTERM to the group, that many seconds of grace, then SIGKILL to the group;
- the end of stdin, another parent than PARENT_PID, or SIGTERM: the same with ORPHAN_GRACE_S;
- the command ended by itself: what it left in the group is ended, too.

The last line on stdout is the command's exit status as subprocess gives it, or `cannot run: ...`. The command's own
output goes to stderr. Uses nothing but the standard library, so it starts in milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

POLL_S = 0.1
LINGER_S = 8.0
BLIND_LINGER_S = 0.5
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


ON_LINUX = sys.platform.startswith("linux")


def adopt_orphans() -> None:
    """On Linux: processes whose parent in the group dies become this script's children, so it sees them end."""
    if ON_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def linger() -> None:
    """Wait until nothing is left of the group, LINGER_S at most; where that cannot be seen, BLIND_LINGER_S."""
    if not ON_LINUX:
        time.sleep(BLIND_LINGER_S)
        return
    deadline = time.monotonic() + LINGER_S
    with contextlib.suppress(ChildProcessError):  # none left
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(POLL_S / 10)


def die_with_parent() -> Callable[[], None] | None:
    """What a new child runs so that Linux ends it when this script is itself killed; elsewhere None.

    SIGTERM, not SIGKILL: vLLM then ends its own children. Safe as a preexec_fn, for this script has one thread.
    """
    if not ON_LINUX:
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    here = os.getpid()

    def arm() -> None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        if os.getppid() != here:  # it died before the line above
            os._exit(1)

    return arm


def asked_to_stop(parent: int, orphan_grace_s: float, signalled: list[int]) -> float | None:
    """Seconds of grace when the group has to end, None while it may go on; waits POLL_S at most."""
    if signalled or os.getppid() != parent:
        return orphan_grace_s
    try:
        readable, _, _ = select.select([0], [], [], POLL_S)
    except InterruptedError:
        return None
    if not readable:
        return None
    said = os.read(0, 64)
    return float(said) if said.strip() else orphan_grace_s


def main() -> None:
    """Run the command and answer for its group."""
    parent, orphan_grace_s, command = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    group = os.getpgrp()
    if group != os.getpid():
        sys.exit("watchdog.py ends its whole process group, so it must be started as the leader of one")
    adopt_orphans()
    signalled: list[int] = []
    # A handler, not SIG_IGN: the command would inherit SIG_IGN and be deaf to the group's SIGTERM.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: signalled.append(number))
    try:
        child = subprocess.Popen(  # noqa: S603 - the caller's command, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=2,
            stderr=2,
            preexec_fn=die_with_parent(),
        )
    except OSError as error:
        print(f"cannot run: {error}", flush=True)
        return
    deadline = None
    while child.poll() is None:
        if deadline is None:
            grace_s = asked_to_stop(parent, orphan_grace_s, signalled)
            if grace_s is not None:
                deadline = time.monotonic() + grace_s
                os.killpg(group, signal.SIGTERM)
        elif time.monotonic() < deadline:
            time.sleep(POLL_S / 2)
        else:
            break
    with contextlib.suppress(BrokenPipeError):  # nobody is left to be told
        os.write(1, f"{'killed' if child.returncode is None else child.returncode}\n".encode())
    # This process leads the group and is alive, so the group's number cannot have passed to strangers. What is left of
    # the group gets a moment: Python's resource tracker removes shared memory there.
    if child.returncode is not None:
        os.killpg(group, signal.SIGTERM)
        linger()
    os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
