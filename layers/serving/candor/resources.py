"""Paths of the parts that are not Python modules: at the root of a checkout, or inside an installed wheel."""

import os
from pathlib import Path

PACKAGE = Path(__file__).parent
_SHIPPED = PACKAGE / "shipped"  # exists in a wheel only: setup.py copies the parts there
INSTALLED = _SHIPPED.is_dir()
ROOT = _SHIPPED if INSTALLED else PACKAGE.parents[2]

TEMPLATE = ROOT / "template.yaml"
FUNCTIONS = ROOT / "functions"
BUNDLE = ROOT / "layers/model/bundle"
"""The model in use: `candor use` installs it, and the template deploys it."""


def default_bundle() -> Path:
    """Return the bundle that is loaded if none is named: that of the environment's BUNDLE_PATH, else the one in use."""
    return Path(os.environ.get("BUNDLE_PATH") or BUNDLE)
