"""The trainer as `candor` finds it: by its entry point, here that of the checkout."""

import sys

import pytest


@pytest.fixture(scope="session")
def entry_point(tmp_path_factory):
    """Return a folder for the path, on which the checkout's `training` is installed as a command of `candor`."""
    folder = tmp_path_factory.mktemp("site-packages")
    info = folder / "checkout_trainer-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: checkout-trainer\nVersion: 0\n")
    (info / "entry_points.txt").write_text("[candor.commands]\ntrain = training.command:train\n")
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
