"""How the command says that something went wrong: one line on what failed, and one on what to do."""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import click


class CommandError(click.ClickException):
    """An error that a user can act on.

    Args:
        message: What failed, and why.
        hint: The flag or command that helps.
        status: The exit status: 1 where something did not hold, 2 where the command could not do its work.
    """

    def __init__(self, message: str, hint: str | None = None, status: int = 2) -> None:
        super().__init__(message)
        self.hint, self.status = hint, status

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error, and the hint if there is one, to stderr."""
        report(self.message, self.hint)


def coloured() -> bool | None:
    """Return False where NO_COLOR (no-color.org) forbids colours; None leaves the choice to the terminal."""
    return False if os.environ.get("NO_COLOR") else None


def report(message: str, hint: str | None = None) -> None:
    """Print `error:` and `hint:` lines to stderr, in colour on a terminal only."""
    said = [f"{click.style('error:', fg='red', bold=True)} {message}"]
    said += [f"{click.style('hint:', fg='cyan')} {hint}"] if hint else []
    _say(said)


def note(message: str) -> None:
    """Print a `note:` line to stderr: what to know, although nothing failed."""
    _say([f"note: {message}"])


def _say(lines: Sequence[str]) -> None:
    try:
        for line in lines:
            click.echo(line, err=True, color=coloured())
    except OSError:  # nobody reads it, which stops no work
        _silence(sys.stderr)


def fault(error: Exception) -> None:
    """Report an error that nobody foresaw, by its kind alone: its message may hold a text."""
    if os.environ.get("CANDOR_TRACEBACK"):
        raise error
    report(
        f"unexpected {type(error).__name__}, a fault of Candor's", "CANDOR_TRACEBACK=1 shows where; please report it"
    )


def silence_stdout() -> None:
    """Drop what is still to be printed, once the reader of a pipe has gone; Python would find it out again at exit."""
    _silence(sys.stdout)


def _silence(stream: IO[str]) -> None:
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def printable(name: str | Path) -> str:
    r"""Return a name of a file as a terminal can show it, without characters that would steer it.

    Example:
        >>> printable("a\x1b[31m\n\udcff.csv")
        'a\\x1b[31m\\n\\xff.csv'
    """
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() or each in _HARMLESS else ascii(each)[1:-1] for each in text)


_HARMLESS = "\u00a0\u3000\u200c\u200d"  # spaces, and joiners of letters and emoji


def absent(error: ModuleNotFoundError, extra: str) -> CommandError:
    """Return the error for a library that only one of Candor's extras installs."""
    return CommandError(f"this needs {error.name}, which is not installed", install(extra))


def install(extra: str) -> str:
    """Return the hint that installs one of the extras."""
    return f"in a checkout of Candor: pip install '.[{extra}]', or make {extra}"
