"""The development server as a process, for tests and benchmarks."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.interrupt import heed

ROOT = Path(__file__).parents[1]


class Server:
    """`candor serve` on a free port. Its output goes to a file, which never fills as a pipe does.

    A context manager: the process ends with the block, whatever happens in it.
    """

    def __init__(self, *options, **variables):
        command = [sys.executable, "-m", "candor", "serve", *(options or ("--port", "0"))]
        # The functions' path comes from the template, and of their environment only the model from this test.
        environment = {name: value for name, value in os.environ.items() if name != "BUNDLE_DIGEST"}
        environment |= {"PYTHONPATH": str(ROOT / "layers/serving")} | variables
        self.output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        pipes = {"stdout": self.output, "stderr": subprocess.STDOUT}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, preexec_fn=heed, **pipes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=20)
        self.output.close()

    def said(self):
        self.output.seek(0)
        return self.output.read()

    def greeting(self):
        """What it says before the first request."""
        deadline = time.monotonic() + 30
        while not (found := re.search(r"http://\S+:(\d+) .*?\n\n.*?\n\n", self.said(), re.DOTALL)):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        self.port = int(found[1])
        return found[0]

    def wait(self):
        """Its exit status and all that it said."""
        self.process.wait(timeout=20)
        return self.process.returncode, self.said()

    def end(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.wait()
