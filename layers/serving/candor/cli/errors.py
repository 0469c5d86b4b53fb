"""How the command says that something went wrong: one line on what failed, and one on what to do."""

import contextlib
import os
import sys
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
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True, color=coloured())
    if hint:
        click.echo(f"{click.style('hint:', fg='cyan')} {hint}", err=True, color=coloured())


def silence_stdout() -> None:
    """Drop what is still to be printed, once the reader of a pipe has gone; Python would find it out again at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def absent(error: ModuleNotFoundError, extra: str) -> CommandError:
    """Return the error for a library that only one of Candor's extras installs."""
    return CommandError(f"this needs {error.name}, which is not installed", install(extra))


def install(extra: str) -> str:
    """Return the hint that installs one of the extras."""
    return f"in a checkout of Candor: pip install '.[{extra}]', or make {extra}"
