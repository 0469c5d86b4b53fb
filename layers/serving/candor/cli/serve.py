"""`candor serve`: the API on this machine, by the very handler that Lambda runs."""

import errno
import json
import os
import shlex
import signal
import socket
import sys
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
        deployed, keys = template(), set(os.environ.get("API_KEYS", "").split(",")) - {""}
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
            print(greeting(f"http://{host}:{server.server_port}", example), file=terminal, flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            print("\nended", file=terminal, flush=True)
    return 0


def greeting(address: str, example: str) -> str:
    r"""Return what to say first: the address, and a request to try. What a terminal would obey is escaped as in JSON.

    Example:
        >>> print(greeting("http://localhost", "It's \x1b[2J late."))
        Candor listens on http://localhost (Ctrl-C ends it). Try:
        <BLANKLINE>
          curl http://localhost/v1/predict -H 'Content-Type: application/json' -d '{"text": "It'"'"'s \u001b[2J late."}'
        <BLANKLINE>
    """
    body = json.dumps({"text": example}, ensure_ascii=False)
    question = "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in body)
    return (
        f"Candor listens on {address} (Ctrl-C ends it). Try:\n\n"
        f"  curl {address}/v1/predict -H 'Content-Type: application/json' -d {shlex.quote(question)}\n"
    )


def _unavailable(host: str, port: int, error: OSError) -> CommandError:
    free = port + 1 if port < 65535 else port - 1
    if error.filename:
        return CommandError(f"{error.filename}: {error.strerror}")
    taken = error.errno == errno.EADDRINUSE
    if not taken:
        return CommandError(f"port {port} cannot be opened on {host}: {error.strerror}", "try another --port or --host")
    return CommandError(f"port {port} is already in use", f"try --port {free} (make: PORT={free})")
