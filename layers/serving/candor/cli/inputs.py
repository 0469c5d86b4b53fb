"""Find the files that the INPUT of a command stands for: those to read, and those that cannot be, with the reason."""

import glob
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import NamedTuple

from candor.batch.faults import READERS, export_hint
from candor.cli.errors import CommandError, printable

SUFFIXES = tuple(kind + compressed for kind in READERS for compressed in ("", ".gz"))
SUPPORTED = f"supported: {', '.join(READERS)}, each also with .gz"
_RESULTS = re.compile(r".+-[0-9a-f]{16}|[0-9a-f]{32}")  # names of the folders of results, here and on AWS
_HEAD = 1000  # bytes of a manifest in which _MANIFEST stands
_MANIFEST = b'"code_version"'
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class Inputs(NamedTuple):
    """The files to read, in order, and those of the same kind that cannot be read: each with the reason."""

    files: list[Path]
    odd: list[tuple[Path, str]]


def inputs(named: str, stack: ExitStack, stdin: str = "jsonl") -> Inputs:
    """Return the files that a name, a folder, a pattern or `-` stands for; results and hidden files are left out.

    Args:
        named: The name. Folders are walked; links to folders in them are not followed.
        stack: Removes the copy of standard input in the end.
        stdin: Format of standard input.

    Raises:
        CommandError: There is no such file, or none of a supported format.
    """
    if named == "-":
        spooled = Path(stack.enter_context(tempfile.TemporaryDirectory())) / f"stdin.{stdin}"
        with spooled.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        return Inputs([spooled], [])
    if not named:
        raise CommandError("INPUT is empty", "name a file, folder or pattern, or - for standard input")
    path, odd = Path(named), list[tuple[Path, str]]()
    matches = [path] if os.path.lexists(path) else [Path(match) for match in sorted(glob.glob(named, recursive=True))]  # noqa: PTH207
    if not matches:
        raise CommandError(
            f"{printable(path)} does not exist", "no file fits the pattern" if glob.has_magic(named) else None
        )
    found = [file for match in matches for file in (_walked(match, odd) if match.is_dir() else [match])]
    files, is_result = list[Path](), cache(_holds_results)
    for file in _once(found):
        if not file.name.lower().endswith(SUFFIXES) or is_result(file.parent):
            continue
        if file.is_symlink() and is_result(file.resolve().parent):
            continue
        if reason := _why_unreadable(file):
            odd.append((file, reason))
        else:
            files.append(file)
    if not files and not odd:
        _refuse(path, named, found)
    return Inputs(files, odd)


def _refuse(path: Path, named: str, found: list[Path]) -> None:
    """Raise the CommandError for a name that stands for no file to read."""
    if any(file.name.lower().endswith(SUFFIXES) for file in found):
        raise CommandError(f"{named}: only results of Candor's are there", "name the file that was scored")
    if path.is_file():
        raise CommandError(f"{named}: unsupported format ({path.suffix or 'no suffix'})", export_hint(path.name))
    raise CommandError(f"{named}: no file of a supported format", SUPPORTED)


def _walked(folder: Path, odd: list[tuple[Path, str]]) -> list[Path]:
    """Return all files below a folder, sorted, but for hidden ones and those in hidden folders, such as .venv."""

    def note(error: OSError) -> None:
        odd.append((Path(error.filename), error.strerror or "it cannot be listed"))

    found: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=note):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent) / name for name in files if not name.startswith(".")]
    return sorted(found)


def _once(files: Iterable[Path]) -> Iterator[Path]:
    """Yield files without those that came before by another path, as `**` gives a folder and each file in it."""
    real, seen = cache(os.path.realpath), set[tuple[str, str]]()
    for file in files:
        if (entry := (real(file.parent), file.name)) not in seen:
            seen.add(entry)
            yield file


def _why_unreadable(file: Path) -> str:
    """Return why something is no file to read: "" if it is one, or a link to one."""
    try:
        mode = file.stat().st_mode
    except FileNotFoundError:
        return "a link to a file that is not there"
    except OSError as error:
        return error.strerror or "it cannot be read"
    return "" if stat.S_ISREG(mode) else f"not a file but {_KINDS.get(stat.S_IFMT(mode), 'something else')}"


def _holds_results(folder: Path) -> bool:
    """Return whether a folder holds the results of a job, be it finished or not."""
    try:
        with (folder / "manifest.json").open("rb") as manifest:
            if _MANIFEST in manifest.read(_HEAD):
                return True
    except OSError:
        pass
    return bool(_RESULTS.fullmatch(folder.resolve().name)) and any(folder.glob("part-*.jsonl"))
