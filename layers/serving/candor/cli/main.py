"""The `candor` command: its subcommands, and what they have in common.

Subcommands are imported when they are asked for. Other packages may add some by entry points of the group
`candor.commands`, as the trainer does, so that nothing here imports it.
"""

import os
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, NoReturn

import click
from click.shell_completion import get_completion_class

from candor import __version__
from candor.cli.errors import CommandError, coloured, fault, install, report, silence_stdout
from candor.errors import CandorError

# Where each command is defined, in the order of the help page.
COMMANDS = {
    "predict": "candor.cli.predict:predict",
    "explain": "candor.cli.predict:explain",
    "redact": "candor.cli.predict:redact",
    "score": "candor.cli.score:score",
    "verify": "candor.cli.verify:verify",
    "report": "candor.cli.report:report",
    "serve": "candor.cli.serve:serve",
    "train": "",  # the training package's
    "evaluate": "candor.cli.evaluate:evaluate",
    "fairness": "",  # likewise
    "models": "candor.cli.models:models",
    "diff": "candor.cli.diff:diff",
    "use": "candor.cli.use:use",
    "dashboard": "candor.cli.dashboard:dashboard",
    "torture": "candor.cli.torture.command:torture",
    "completion": "candor.cli.main:completion",
}
EPILOG = """\b
Exit status:
  0    done
  1    done, but something did not hold (verify, evaluate, use, torture), or some files were not scored
  2    not done: wrong usage, or input that cannot be read
  3    nothing is wrong, but not all could be checked (verify)
  4    not done: a model that is not fair enough to ship (train)
  70   stopped by a fault of Candor's own
  130  interrupted with Ctrl-C

\b
Examples:
  candor predict "Where is my parcel?"
  candor score texts.csv results/
  candor serve --port 8000
  candor train tickets.csv --name tickets
"""


class Commands(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order of the help page."""
        return [*COMMANDS, *sorted({entry.name for entry in entry_points(group="candor.commands")} - COMMANDS.keys())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name, or None if there is none such."""
        for entry in entry_points(group="candor.commands", name=cmd_name):
            with suppress(ImportError):  # left behind by an installation that is gone
                added: click.Command = entry.load()
                return added
        if not (home := COMMANDS.get(cmd_name)):
            return absent_trainer if cmd_name in COMMANDS else None
        module, _, name = home.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; name the one that may be meant if there is none such."""
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            from difflib import get_close_matches

            if close := get_close_matches(args[0], self.list_commands(ctx), 1):
                raise CommandError(f"no such command {args[0]!r}", f"did you mean {close[0]}?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; stop quietly when the reader of its output has gone."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            silence_stdout()
            return 0


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"max_content_width": 100},
    no_args_is_help=True,
)
@click.version_option(__version__, prog_name="candor", message="%(prog)s %(version)s")
def cli() -> None:
    """Classify text, and answer for it: predictions with their reasons, files of texts, a server, training."""
    click.get_current_context().color = coloured()


@click.command(
    short_help="The trainer's (not installed).",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def absent_trainer(arguments: tuple[str, ...]) -> None:
    """Do what the trainer does; it is not installed."""
    raise CommandError("the trainer is not installed", install("train"))


@click.command(epilog="\b\nExample:\n  candor completion bash >> ~/.bashrc")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script for a shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "candor", "_CANDOR_COMPLETE").source())


def run() -> NoReturn:
    """Run the command and exit; the entry point of the `candor` script."""
    sys.exit(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status. Errors go to stderr."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: PTH123, SIM115
    for number, argument in enumerate(arguments, 1):
        if not _encodes(argument):
            report(f"argument {number} is not valid UTF-8", "rename the file, or name the folder that it lies in")
            return 2
    try:
        status = cli.main(arguments, prog_name="candor", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except CommandError as error:
        error.show()
        return error.status
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        report(*_usage(error))
        return 2
    except click.ClickException as error:
        report(error.format_message())
        return 2
    except (CandorError, OSError) as error:
        report(_sentence(error))
        return 2
    except BrokenProcessPool:
        report("a worker process was killed, perhaps for want of memory", "run the same command again to go on")
        return 2
    except (KeyboardInterrupt, click.Abort):
        report("interrupted")
        return 130
    except Exception as error:
        fault(error)
        return 70


def _encodes(argument: str) -> bool:
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _usage(error: click.UsageError) -> tuple[str, str]:
    """Return what is wrong with the usage, and the command whose help says what is right."""
    message = error.format_message().rstrip(".")
    path = error.ctx.command_path if error.ctx else "candor"
    hint = f"{path} --help lists arguments and options"
    if isinstance(error, click.NoSuchOption) and error.possibilities:
        message, hint = f"no such option: {error.option_name}", f"did you mean {' or '.join(error.possibilities)}?"
    return message[:1].lower() + message[1:], hint


def _sentence(error: CandorError | OSError) -> str:
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{error.filename} does not exist"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
