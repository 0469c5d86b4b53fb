"""How the command says that something went wrong: one line on what failed, and one on what to do."""

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


def report(message: str, hint: str | None = None) -> None:
    """Print `error:` and `hint:` lines to stderr, in colour on a terminal only."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)
    if hint:
        click.echo(f"{click.style('hint:', fg='cyan')} {hint}", err=True)


def absent(error: ModuleNotFoundError, extra: str) -> CommandError:
    """Return the error for a library that only one of Candor's extras installs."""
    return CommandError(f"this needs {error.name}, which is not installed", f"pip install 'candor[{extra}]'")
