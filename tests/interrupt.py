"""Ctrl-C for processes that tests start."""

import signal


def heed() -> None:
    """For Popen's preexec_fn: heed SIGINT even where tests run in the background, and so inherit that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
