"""Virtual time: coroutines that sleep for hours, and end in milliseconds."""

import heapq
from collections.abc import Coroutine, Generator
from itertools import count
from typing import Any

Process = Coroutine[float | None, None, Any]


class Clock:
    """Runs coroutines in the order of their times. Nothing else of asyncio's is needed, and none of its time passes."""

    def __init__(self) -> None:
        self.now = 0.0
        """Seconds since the start."""
        self._due: list[tuple[float, int, Process]] = []
        self._number = count()  # among equal times, the first to be due runs first

    def start(self, process: Process, delay: float = 0.0) -> None:
        """Let a coroutine run after so many seconds: a new one, or one that waits in forever()."""
        heapq.heappush(self._due, (self.now + delay, next(self._number), process))

    def run(self, main: Process) -> Any:
        """Run a coroutine, with all that it starts, and return its result. What it leaves behind runs no further."""
        self.start(main)
        while self._due:
            self.now, _, self.running = heapq.heappop(self._due)
            try:
                delay = self.running.send(None)
            except StopIteration as ended:
                if self.running is main:
                    self._close()
                    return ended.value
                continue
            if delay is not None:
                self.start(self.running, delay)
        raise RuntimeError("the coroutine waits for ever")

    def _close(self) -> None:
        for _, _, process in self._due:
            process.close()
        self._due.clear()


class sleep:
    """Wait for so many seconds; None: until another coroutine starts this one again."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds

    def __await__(self) -> Generator[float | None, None, None]:
        yield self.seconds
