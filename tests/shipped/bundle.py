"""The bundle that ships, wherever it lies: in use, or in the store, where `candor use` keeps what it replaces."""

import hashlib
import json
from pathlib import Path

from candor.model.bundle import MANIFEST

ROOT = Path(__file__).parents[2]
HELP = """the model that ships, {name} {version}, is neither in use nor in the store
Tests of its figures and of the documentation's examples need it: unpack layers/model/bundle of the release to
models/{name}/{version}/bundle. If another model is to ship, write its name, version and digest to
layers/model/shipped.json: {digest} is in use."""


def shipped_bundle(root: Path = ROOT) -> Path:
    """Return the folder of the bundle that layers/model/shipped.json of a checkout names.

    Raises:
        AssertionError: The checkout has it no longer. It says how to get it back.
    """
    shipped = json.loads((root / "layers/model/shipped.json").read_text())
    in_use = root / "layers/model/bundle"
    stored = sorted(path.parent for path in root.glob(f"models/{shipped['name']}/*/bundle/{MANIFEST}"))
    digests = {path: hashlib.sha256((path / MANIFEST).read_bytes()).hexdigest() for path in (in_use, *stored)}
    fitting = [path for path, digest in digests.items() if digest == shipped["sha256"]]
    assert fitting, HELP.format(**shipped, digest=digests[in_use])
    return fitting[0]
