"""Identify the code that decides what results hold: Candor's modules, and the libraries that they compute with.

Results of different code are different jobs, so that no job mixes them. The digest covers every module that takes part
in turning the bytes of a file into the bytes of its results. Line ends do not count, nor do other files. So it is the
same in a checkout, a wheel, a layer and an archive of the same version.
"""

import hashlib
import os
import sys
from functools import cache
from importlib import resources

import numpy as np

from candor._version import __version__
from candor.model.bundle import canonical
from candor.model.interpreter import library_version

PACKAGES = ("batch", "model", "redact", "text")
ALONE = ("limits.py",)
APART = {
    "batch/code.py",
    "batch/labelled.py",
    "batch/labels.py",
    "batch/manifests.py",
    "batch/steps.py",
    "batch/verify.py",
    "model/evaluation.py",
    "model/install.py",
    "model/metrics.py",
}
"""Modules of PACKAGES that no row depends on: of training, of the steps on AWS, of manifests."""


def identity() -> dict[str, str]:
    """Return what names the code in a manifest: all that results depend on besides input, model and settings.

    Python's minor version decides the version of Unicode. The libraries and the machine decide the last bits of sums.
    """
    return {
        "candor": __version__,
        "sha256": digest(),
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "numpy": np.__version__,
        "interpreter": library_version(),
        "machine": os.uname().machine,
    }


@cache
def digest() -> str:
    """Return the SHA-256 (hex) of the modules that decide what results hold: some milliseconds, once a process."""
    return digest_of(modules())


def digest_of(contents: dict[str, bytes]) -> str:
    r"""Return the SHA-256 (hex) of modules by their names, whatever their line ends.

    Example:
        >>> digest_of({"a.py": b"a = 1\r\n"}) == digest_of({"a.py": b"a = 1\n"}) != digest_of({"b.py": b"a = 1\n"})
        True
    """
    digests = {name: hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest() for name, content in contents.items()}
    return hashlib.sha256(canonical(digests)).hexdigest()


def modules() -> dict[str, bytes]:
    """Return the source of each module that takes part, by its path in the package."""
    package = resources.files("candor")
    names = [
        f"{folder}/{file.name}"
        for folder in PACKAGES
        for file in (package / folder).iterdir()
        if file.name.endswith(".py") and file.name[:-3].isidentifier()
    ]
    return {name: (package / name).read_bytes() for name in (*names, *ALONE) if name not in APART}


def shortly(code: dict[str, str] | None) -> str:
    """Return the code of a manifest as messages name it.

    Example:
        >>> shortly({"candor": "0.1.0", "sha256": "ab" * 32, "python": "3.13", "numpy": "2.5.5"})
        'Candor 0.1.0, code abababababab, Python 3.13, NumPy 2.5.5'
    """
    if not code:
        return "a version of Candor that did not name its code"
    parts = [f"Candor {code['candor']}", f"code {code['sha256'][:12]}"]
    named = {"python": "Python ", "numpy": "NumPy ", "interpreter": "", "machine": ""}
    return ", ".join(parts + [f"{word}{code[name]}" for name, word in named.items() if name in code])
