"""A program: kills a sweep at every write, flush and rename of its store, and goes on with what is left each time.

    python killed_store.py WHOLE PLACE

Each kill is that of a process of its own, forked for it, by SIGKILL: before the call, in its middle (a write) and after it. The
chunks are read from the result WHOLE. Prints for each call how often it was killed at; what is wrong ends it with a message.
"""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import jaxsgd
from tests.replay import STUDY, files, replaying, spoiled


def killing(at, moment):
    """Kills this process at the `at`-th call: "before" it, "after" it, or "within" it, when half of a write is done."""

    def change(count, name, real, args):
        if count != at:
            return real(*args)
        if moment == "within" and name == "write":
            descriptor, content = args
            real(descriptor, content[: len(content) // 2])
        elif moment != "before":
            real(*args)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("a killed process goes on")

    return change


def calls_of(folder):
    """Return the names of a sweep's calls, in their order."""
    names = []
    with spoiled(lambda count, name, real, args: (names.append(name), real(*args))[1]):
        jaxsgd.sweep(STUDY, folder)
    return names


def main(whole, place):
    for module, name, value in replaying(whole):
        setattr(module, name, value)
    wanted, killed = files(whole), Counter()
    for at, name in enumerate(calls_of(place / "named"), 1):
        for moment in ("before", "within", "after") if name == "write" else ("before", "after"):
            folder = place / f"{at}-{moment}"
            child = os.fork()
            if not child:
                with spoiled(killing(at, moment)):
                    jaxsgd.sweep(STUDY, folder)
                os._exit(0)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"call {at} ({name}) was not killed"
            killed[name] += 1
            where = f"killed {moment} call {at} ({name})"
            for file, content in files(folder).items() if (folder / "chunks").exists() else ():
                assert file.startswith(".") or wanted[file] == content, f"{where}: {file} is there and not whole"
            jaxsgd.sweep(STUDY, folder)
            assert files(folder) == wanted, f"{where}: gone on with, it is another result"
            assert list(folder.rglob(".*.tmp")) == [], f"{where}: leaves temporary files"
    sys.stdout.write(json.dumps(killed))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
