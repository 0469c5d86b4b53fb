"""The development server as a process, for tests and benchmarks."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.interrupt import heed

ROOT = Path(__file__).parents[1]


class Server:
    """`python -m events.server` on a free port. What it says goes to a file, which never fills as a pipe does."""

    def __init__(self, *options, **variables):
        command = [sys.executable, "-m", "events.server", *(options or ("--port", "0"))]
        # Lambda's path comes from the template, and nothing of it from this test.
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "BUNDLE_PATH")}
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        pipes = {"stdout": self.output, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment | variables, preexec_fn=heed, **pipes)

    def said(self):
        self.output.seek(0)
        return self.output.read()

    def greeting(self):
        """What it says before the first request."""
        deadline = time.monotonic() + 30
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+) .*?\n\n.*?\n\n", self.said(), re.DOTALL)):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        self.port = int(found[1])
        return found[0]

    def wait(self):
        """Its exit status and all that it said."""
        self.process.wait(timeout=20)
        said = self.said()
        self.output.close()
        return self.process.returncode, said

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.wait()
