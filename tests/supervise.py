"""Runs a database server and takes it away with the process that asked for it.

Standard input is the lifeline: when it closes, because a test run was killed for instance, the
server is stopped and its directory is removed. With the word "keep" the directory stays, for a
server that will be started again. Standard library only, so that it starts at once.

    python supervise.py DIRECTORY SIGNAL USER COMMAND...
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def main(directory: str, stop_signal: str, user: str, *command: str) -> int:
    """Run the command until it ends or the lifeline closes; give its exit code."""
    server = subprocess.Popen(
        command,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        user=user or None,
        extra_groups=[] if user else None,
        process_group=0,
    )
    ending: list[str] = []

    def stop(word: str) -> None:
        ending.append(word)
        signal_all(signal.Signals[stop_signal])
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            signal_all(signal.SIGKILL)

    def signal_all(number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, number)

    lifeline = threading.Thread(target=lambda: stop(sys.stdin.read().strip()), daemon=True)
    lifeline.start()
    code = server.wait()
    # A server that ended by itself leaves its log for the one who started it.
    if ending and ending[0] != "keep":
        # A script that prepares a server may end before the programs that it started.
        signal_all(signal.SIGKILL)
        for _ in range(50):
            shutil.rmtree(directory, ignore_errors=True)
            if not Path(directory).exists():
                break
            time.sleep(0.1)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
