"""Ctrl-C in processes that tests start."""

import signal


def heed() -> None:
    """Restore SIGINT, as Popen's preexec_fn: a process started in the background inherits that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
