"""Paths of the parts that are not Python modules: at the root of a checkout, or inside an installed wheel."""

from pathlib import Path

PACKAGE = Path(__file__).parent
_SHIPPED = PACKAGE / "shipped"  # exists in a wheel only: setup.py copies the parts there
INSTALLED = _SHIPPED.is_dir()
ROOT = _SHIPPED if INSTALLED else PACKAGE.parents[2]

TEMPLATE = ROOT / "template.yaml"
FUNCTIONS = ROOT / "functions"
BUNDLE = ROOT / "layers/model/bundle"
EVENTS = ROOT / "events"
