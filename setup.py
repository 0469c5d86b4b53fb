"""Add to a wheel what the command serves: the template, the functions, and the model that ships."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("template.yaml", "functions", "layers/model/bundle")


class BuildPy(build_py):
    """`build_py`, and the parts that candor.resources looks for in a wheel: below candor/shipped/."""

    def run(self) -> None:
        """Build the packages, then copy the parts. An editable installation finds them in the checkout."""
        super().run()
        if not self.editable_mode:
            for part in SHIPPED:
                _copy(Path(part), Path(self.build_lib, "candor/shipped", part))


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "Makefile"))
    else:
        shutil.copyfile(source, target)


setup(cmdclass={"build_py": BuildPy})
