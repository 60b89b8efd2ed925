"""Processes of Python in the tests: their start, and their end."""

import os
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def started(*words):
    """Return a process of Python that finds the modules of the tests."""
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    """Return the exit status, the output and the errors of a process at its end."""
    with process:
        output, wrong = text_of(process)
    return process.returncode, output, wrong


def text_of(process, still=120):
    """Return the text that a process has written, when it ends.

    While it works it has all the time it needs, so no busy machine ends it. One that has used less than a hundredth of a second
    of the processor in `still` seconds waits for something that does not come, and is killed.
    """
    before = 0.0
    while True:
        try:
            return process.communicate(timeout=still)
        except subprocess.TimeoutExpired:
            times = psutil.Process(process.pid).cpu_times()
            used = times.user + times.system
            if used - before < 0.01:
                process.kill()
                raise
            before = used
