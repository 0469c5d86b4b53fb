"""`candor models`: what the model store has."""

import json
from typing import Any

import click

from candor.cli import options
from candor.cli.errors import CommandError
from candor.cli.store import Model, ModelError, ModelStore
from candor.cli.use import Checkout
from candor.cli.width import table
from candor.errors import BundleError, CandorError
from candor.model.bundle import Bundle
from candor.resources import BUNDLE

IN_USE, SHIPPED = "layers/model, not in the store", "comes with the package"
HEADS = ("", "name", "version", "labels", "accuracy", "of texts", "size", "data", "")


@click.command(
    short_help="List the models of the store.",
    epilog="\b\nExamples:\n  candor models\n  candor models --store s3://my-bucket/models",
)
@options.store
@options.as_json
def models(as_json: bool) -> None:
    """List the models of the store: the one in use is marked with a star.

    The accuracy is that on the texts that the model was measured on: a test split, else texts held out of training.
    A model is removed by removing its folder.
    """
    try:
        store = ModelStore(options.place(click.get_current_context()))
        found = list(store.models())
    except ModelError as error:
        raise CommandError(error.problem, error.hint) from None
    checkout = Checkout.find()
    try:
        used: Bundle | None = Bundle.open(checkout.bundle if checkout else BUNDLE)
    except BundleError:
        used = None
    in_use = IN_USE if checkout else SHIPPED
    rows = [_row(model, used) for model in found]
    if used and not any(row["in_use"] for row in rows):
        rows.insert(0, facts(used) | {"in_use": True, "place": in_use})
    if as_json:
        for row in rows:
            click.echo(json.dumps(row, ensure_ascii=False))
    elif not rows:
        click.echo(f"no models in {store.place}; candor train makes one")
    else:
        for line in table([HEADS, *(_cells(row) for row in rows)]):
            click.echo(line)


def _row(model: Model, used: Bundle | None) -> dict[str, Any]:
    try:
        opened = model.open()
    except CandorError as error:  # damaged, or in a bucket a file is missing
        return {
            "name": model.name,
            "version": model.version,
            "in_use": False,
            "place": model.place,
            "error": str(error),
        }
    in_use = used is not None and used.digest == opened.digest
    return facts(opened) | {"name": model.name, "version": model.version, "in_use": in_use, "place": model.place}


def facts(opened: Bundle) -> dict[str, Any]:
    """Return what a list of models shows of a bundle; `bytes` is its size, `data` the digest of its data set."""
    model = opened.model
    metrics = model["metrics"]
    return {
        "name": model["name"],
        "version": model["version"],
        "labels": len(opened.labels),
        "accuracy": metrics.get("accuracy"),
        "texts": metrics.get("n"),
        "split": metrics.get("split"),
        "bytes": sum(map(len, opened.files.values())),
        "data": model["data"].get("sha256"),
        "created": model["created"],
        "sha256": opened.digest,
    }


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    name, version = str(row["name"]), str(row["version"])
    if "error" in row:
        return ("", name, version, "", "", "", "", "", f"damaged: {row['error']}")
    accuracy = row["accuracy"]
    return (
        "*" if row["in_use"] else "",
        name,
        version,
        str(row["labels"]),
        f"{accuracy['value']:.1%}" if accuracy else "-",
        f"{row['texts']:,}" if row["texts"] else "-",
        f"{row['bytes'] / 1e6:.1f} MB",
        (row["data"] or "-")[:12],
        row["place"] if row["place"] in (IN_USE, SHIPPED) else "",
    )
