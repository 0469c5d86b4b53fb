"""`candor serve`: the API on this machine, by the very handler that Lambda runs."""

import errno
import json
import os
import shlex
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from candor.cli import options
from candor.cli.errors import CommandError
from candor.errors import BundleError, InterpreterError
from candor.model.classifier import Classifier
from candor.resources import BUNDLE


@click.command(
    short_help="Serve the API and its page over HTTP.",
    epilog="\b\nExamples:\n  candor serve --port 8080\n  API_KEYS=first,second candor serve --model tickets",
)
@options.model
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=options.Whole(0, 65535),
    default=8000,
    show_default=True,
    metavar="N",
    help="Port to listen on; 0 takes any free one.",
)
@click.option(
    "--log",
    type=options.Named(dir_okay=False),
    show_default="log lines here, no metrics",
    metavar="FILE",
    help="Append log lines and metrics to this file.",
)
def serve(bundle: Path, host: str, port: int, log: Path | None) -> int:
    """Serve the API and its page over HTTP, for development. Ctrl-C ends it.

    Where the environment variable API_KEYS is set (keys, separated by commas), routes under /v1 ask for one of them in
    the header x-api-key.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    terminal = sys.stdout
    try:
        if not host:
            raise CommandError("--host is empty", "127.0.0.1 is this machine only; 0.0.0.0 is every address")
        from candor.cli.gateway import Gateway, prepare, template, variables

        # The template pins the digest of its own model.
        ours = bundle.resolve() == BUNDLE.resolve()
        digest = os.environ.get("BUNDLE_DIGEST", variables(template())["BUNDLE_DIGEST"] if ours else "")
        # Without this the functions would start without a model, and answer 503.
        example = Classifier.load(bundle, digest).bundle.example
        os.environ |= {"BUNDLE_PATH": str(bundle), "BUNDLE_DIGEST": digest}
        if log:
            os.environ.setdefault("POWERTOOLS_METRICS_DISABLED", "false")
            sys.stdout = log.open("a", buffering=1)
        deployed, keys = template(), api_keys(os.environ.get("API_KEYS", ""))
        server = Gateway((host, port), deployed, prepare(deployed), keys)
    except (BundleError, InterpreterError) as error:
        raise options.unusable(bundle, error) from None
    except socket.gaierror:
        raise CommandError(f"{host} is not an address of this machine", "try --host 127.0.0.1") from None
    except OSError as error:
        raise _unavailable(host, port, error) from None
    except KeyboardInterrupt:  # while the model loads
        return 0
    with server:
        try:
            if not (keys or is_loopback(host)):
                click.echo(
                    "warning: anyone who reaches this machine can send requests; to ask for a key, set API_KEYS",
                    err=True,
                )
            print(greeting(host, server.server_port, example, keys), file=terminal, flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended", file=terminal, flush=True)
    return 0


def api_keys(named: str) -> list[str]:
    """Return the keys that API_KEYS names, separated by commas.

    Raises:
        CommandError: A key cannot be sent in a header.

    Example:
        >>> api_keys("first, second,")
        ['first', 'second']
    """
    keys = [key for each in named.split(",") if (key := each.strip())]
    if not all(key.isascii() and key.isprintable() for key in keys):
        raise CommandError("a key of API_KEYS cannot be sent in a header", "use printable ASCII characters")
    return keys


def is_loopback(host: str) -> bool:
    """Return True if only this machine reaches a host.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    return host in ("localhost", "::1") or host.startswith("127.")


def greeting(host: str, port: int, example: str, keys: Sequence[str] = ()) -> str:
    r"""Return what to say first: the address, and a request to try. What a terminal would obey is escaped as in JSON.

    Args:
        host: Address that the server listens on.
        port: Its port.
        example: Text of the request.
        keys: API keys, of which the request has the first.

    Example:
        >>> print(greeting("localhost", 80, "\x1b[2J It's"))
        Candor listens on http://localhost:80 (Ctrl-C ends it). Try:
        <BLANKLINE>
          curl http://localhost:80/v1/predict -H 'Content-Type: application/json' -d '{"text": "\u001b[2J It'"'"'s"}'
        <BLANKLINE>
    """
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # an address to send to
    listening, sending = (f"http://{f'[{each}]' if ':' in each else each}:{port}" for each in (host, here))
    key = f" -H {shlex.quote(f'x-api-key: {keys[0]}')}" if keys else ""
    body = json.dumps({"text": example}, ensure_ascii=False)
    question = "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in body)
    address = shlex.quote(f"{sending}/v1/predict")
    return (
        f"Candor listens on {listening} (Ctrl-C ends it). Try:\n\n"
        f"  curl {address}{key} -H 'Content-Type: application/json' -d {shlex.quote(question)}\n"
    )


def _unavailable(host: str, port: int, error: OSError) -> CommandError:
    free = port + 1 if port < 65535 else port - 1
    if error.filename:
        return CommandError(f"{error.filename}: {error.strerror}")
    taken = error.errno == errno.EADDRINUSE
    if not taken:
        return CommandError(f"port {port} cannot be opened on {host}: {error.strerror}", "try another --port or --host")
    return CommandError(f"port {port} is already in use", f"try --port {free} (make: PORT={free})")
