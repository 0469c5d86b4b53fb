"""`candor verify`: whatever is changed is noticed, and nobody is accused for an upgrade."""

import copy
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from candor.batch import code, jobs, manifests
from candor.batch.formats import RULES
from candor.cli import options
from candor.cli.errors import CommandError
from candor.cli.main import main
from candor.cli.store import ModelStore
from candor.model.bundle import Bundle, canonical
from candor.storage import Folder, Source
from tests.commands import ENVIRONMENT, SERVING
from tests.trained import TWO

TEXTS = ["A wonderful film.", "A dull, boring mess.", "", "The first half is fine. Mail me: jo@example.com"]
SAME, CHANGED, UNCHECKED = 0, 1, 3


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "reviews.jsonl"
    lines = [json.dumps({"id": f"r{i}", "text": text}) for i, text in enumerate(TEXTS)]
    path.write_text("\n".join([*lines, "{bad"]) + "\n")
    return path


def scored(source, *options):
    output = source.parent / "out"
    arguments = ["score", str(source), str(output), "--processes", "1", "--rows", "2", "--with-text", "mask", *options]
    assert main(arguments) == 0
    return max(output.iterdir(), key=lambda folder: folder.stat().st_mtime_ns)


@pytest.fixture
def folder(source):
    return scored(source, "--csv", "--picture")


def verified(folder, capsys, *options):
    """Return the exit status of verify and what it says."""
    capsys.readouterr()
    status = main(["verify", str(folder), *options])
    said = capsys.readouterr()
    return status, said.out + said.err


@pytest.fixture
def loaded_once(monkeypatch):
    """Models are loaded once, for the hundreds of manifests that a test verifies."""
    monkeypatch.setattr(options, "load", cache(options.load))


def leaves(value, path=()):
    """Yield the path of every leaf and of every object and list below a JSON value."""
    if path:
        yield path
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from leaves(each, (*path, key))


def mutations(value):
    """Return values that are not this one, of the same type where there are such."""
    if isinstance(value, bool):
        return [not value, int(value), None]
    if isinstance(value, int):
        return [value + 1, -value - 1, float(value), str(value), bool(value)]
    if isinstance(value, str):
        flipped = value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
        return [flipped, value + "x", value[1:] if value else " ", "", None][: 5 if value else 2]
    if value is None:
        return [0, 0.5, "", False]
    if isinstance(value, list):
        return [value[1:], [*value, *value[:1]], value[::-1], {}]
    return [{**value, "extra": 1}, dict([*value.items()][1:]), [], None]


def tampered(manifest):
    """Yield every mutation of every leaf of a manifest, and the path of the leaf."""
    for path in leaves(manifest):
        parent = copy.deepcopy(manifest)
        whole = parent
        for key in path[:-1]:
            parent = parent[key]
        value = parent[path[-1]]
        for new in mutations(value):
            if json.dumps(new) != json.dumps(value):
                parent[path[-1]] = new
                yield path, copy.deepcopy(whole)
        if isinstance(parent, dict):
            del parent[path[-1]]
            yield path, whole
    yield (), {**manifest, "extra": "x"}


def rekeyed(manifest):
    """Return a forged manifest with the job id that its members give, where they give one."""
    try:
        source = Source(**{name: each for name, each in manifest["input"].items() if name != "sha256"})
        version, software = manifest["code_version"], manifest.get("software")
        key = jobs.job_id(source, manifest["model"], manifest["settings"], software, version)
        return manifest | {"work": key}
    except (KeyError, TypeError, AttributeError):
        return manifest


def test_verify_every_changed_leaf_is_noticed(folder, capsys, loaded_once):
    """Every member, by several changes each, and one that is gone or too many."""
    path, whole = folder / "manifest.json", (folder / "manifest.json").read_bytes()
    assert verified(folder, capsys)[0] == SAME
    tried = 0
    for leaf, forged in tampered(json.loads(whole)):
        path.write_bytes(canonical(forged))
        tried += 1
        assert verified(folder, capsys)[0] == CHANGED, (leaf, forged)
    assert tried > 250
    path.write_bytes(whole)
    assert verified(folder, capsys)[0] == SAME


def test_verify_impossible_times_are_noticed(folder, capsys):
    """No job ends before it begins, and times are dates. What is possible is only sealed, as the answer says."""
    path, whole = folder / "manifest.json", json.loads((folder / "manifest.json").read_bytes())
    early, late = "2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.001Z"
    for times, expected in [
        ({"started": early, "finished": late}, SAME),
        ({"started": late, "finished": early}, CHANGED),
        ({"started": early, "finished": "soon"}, CHANGED),
        ({"started": early, "finished": late, "paused": late}, CHANGED),
    ]:
        path.write_bytes(canonical(manifests.seal(whole | {"times": times})))
        assert verified(folder, capsys)[0] == expected, times
    path.write_bytes(canonical(whole))


def test_verify_every_resealed_leaf_is_noticed(folder, capsys, loaded_once):
    """A forger who seals and numbers the manifest anew can change the times, and what code it names; both are said.

    The limits of a part can be changed where no row is over them, and a table can be left out that is made of the
    rows: the manifest is as true as before.
    """
    path, whole = folder / "manifest.json", (folder / "manifest.json").read_bytes()
    passed = set()
    for leaf, forged in tampered(json.loads(whole)):
        if leaf in (("work",), ("seal",)):
            continue
        path.write_bytes(canonical(manifests.seal(rekeyed(forged))))
        status, said = verified(folder, capsys)
        assert status in (SAME, CHANGED, UNCHECKED), (leaf, forged)
        if status == SAME:
            assert "the times are sealed, not recomputed" in said
            assert leaf[0] != "software" or "is named, and this is" in said
            assert leaf[0] != "files" or {*forged.get("files", {})} < {"results.csv", "histogram.svg"}
            passed.add(leaf if leaf[0] == "settings" else leaf[0])
    assert passed <= {"times", "software", "files", ("settings", "bytes"), ("settings", "rows")}
    path.write_bytes(whole)
    assert verified(folder, capsys)[0] == SAME


def test_verify_form_of_the_manifest_counts(folder, capsys):
    """Two members of one name, other blanks, another order, more bytes: no JSON reader may see something else in it."""
    path, whole = folder / "manifest.json", (folder / "manifest.json").read_bytes()
    said = json.loads(whole)
    for forged in (
        whole.replace(b'\n "code_version"', b'\n "status": "done",\n "code_version"', 1),
        whole.replace(b'"read": 5', b'"read": 6,\n  "read": 5', 1),
        whole + b"\n",
        whole[:-1],
        whole[: len(whole) // 2],
        b"\xef\xbb\xbf" + whole,
        b" " + whole,
        json.dumps(said).encode(),
        json.dumps(dict(reversed(said.items())), indent=1).encode() + b"\n",
        whole.replace(b'"read": 5', b'"read": NaN'),
        whole.replace(b'"read": 5', b'"read": 5.0'),
        b"[" * 100_000,
        b"",
        b"[]",
        b"{}",
    ):
        assert forged != whole
        path.write_bytes(forged)
        assert verified(folder, capsys)[0] == CHANGED, forged[:60]
    path.write_bytes(whole)
    assert verified(folder, capsys)[0] == SAME


def test_verify_every_changed_file_is_noticed(folder, capsys):
    """Each part, table and picture: changed, cut, longer, gone, renamed, exchanged; and files too many."""
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "histogram.svg", "manifest.json", "part-00000.jsonl", "part-00001.jsonl", "part-00002.jsonl", "results.csv",
    ]  # fmt: skip
    for name in set(names) - {"manifest.json"}:
        path = folder / name
        whole = path.read_bytes()
        lines = whole.splitlines(keepends=True)
        middle = len(whole) // 2
        for changed in (
            whole + b" ", whole[:-1], b"", whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            b"".join(lines[::-1]), b"".join([*lines, lines[-1]]), whole.replace(b"positive", b"negative"), None,
        ):  # fmt: skip
            if changed == whole:
                continue
            path.unlink() if changed is None else path.write_bytes(changed)
            status, said = verified(folder, capsys)
            assert (status, name in said or "not a result" in said) == (CHANGED, True), (name, changed, said)
            path.write_bytes(whole)
    one, other = folder / "part-00000.jsonl", folder / "part-00001.jsonl"
    shutil.copy(one, folder / "part-00003.jsonl")
    assert verified(folder, capsys)[0] == CHANGED
    (folder / "part-00003.jsonl").unlink()
    (folder / "notes.txt").write_text("")
    assert verified(folder, capsys)[0] == UNCHECKED
    (folder / "notes.txt").unlink()
    Path(os.fsdecode(bytes(folder) + b"/odd \xff\x1b[31m")).write_text("")
    status, said = verified(folder, capsys)
    assert (status, "\x1b" in said, r"'odd \udcff\x1b[31m', which the manifest does not list" in said) == (
        3,
        False,
        True,
    )
    Path(os.fsdecode(bytes(folder) + b"/odd \xff\x1b[31m")).unlink()
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert verified(folder, capsys)[0] == CHANGED
    one.write_bytes(first)
    other.write_bytes(second)
    one.rename(folder / "part-0.jsonl")
    assert verified(folder, capsys)[0] == CHANGED
    (folder / "part-0.jsonl").rename(one)
    assert verified(folder, capsys)[0] == SAME


def forge_label(folder, **changes):
    """Give the first text another label in its part, the table and the manifest, as whoever knows Candor well would."""
    part, path = folder / "part-00000.jsonl", folder / "manifest.json"
    first, rest = part.read_text().split("\n", 1)
    result = json.loads(first)
    result["decision"] = result["label"] = "negative"
    part.write_text(jobs._json(result) + "\n" + rest)
    manifest = json.loads(path.read_bytes())
    keys = [f"{folder.name}/{each['name']}" for each in manifest["parts"]]
    manifest |= manifests.tally(Folder(folder.parent), keys) | changes
    manifest.pop("files", None)
    path.write_bytes(canonical(manifests.seal(rekeyed(manifest))))


def test_verify_forged_label_is_noticed(source, folder, capsys):
    """With all digests right: by scoring again, or by saying that this could not be done."""
    whole = (folder / "manifest.json").read_bytes()
    for name in ("results.csv", "histogram.svg"):
        (folder / name).unlink()
    part = (folder / "part-00000.jsonl").read_bytes()
    forge_label(folder)
    assert verified(folder, capsys) == (
        CHANGED,
        "error: part-00000.jsonl is not what the model predicts for reviews.jsonl\n",
    )
    (folder / "part-00000.jsonl").write_bytes(part)
    forge_label(folder, path="/nowhere/reviews.jsonl")
    status, said = verified(folder, capsys)
    assert (status, "not checked: its rows: the input is not there" in said) == (UNCHECKED, True)
    assert "hint: pass --input FILE" in said
    assert verified(folder, capsys, "--input", str(source))[0] == CHANGED
    (folder / "part-00000.jsonl").write_bytes(part)
    forge_label(folder, software=code.identity() | {"sha256": "0" * 64})
    assert verified(folder, capsys)[0] == UNCHECKED
    (folder / "part-00000.jsonl").write_bytes(part)
    (folder / "manifest.json").write_bytes(whole)
    (source.parent / "moved.txt").write_bytes(source.read_bytes())
    source.unlink()
    manifest = json.loads(whole)
    del manifest["files"]
    (folder / "manifest.json").write_bytes(canonical(manifests.seal(manifest)))
    assert verified(folder, capsys)[0] == UNCHECKED
    assert verified(folder, capsys, "--input", str(source.parent / "moved.txt"))[0] == SAME


def test_verify_forged_table_is_made_again(folder, capsys):
    """A table whose digest was sealed anew is held against the rows themselves."""
    table, path = folder / "results.csv", folder / "manifest.json"
    table.write_bytes(table.read_bytes().replace(b"positive", b"negative", 1))
    files = {
        "results.csv": Folder(folder).digest("results.csv"),
        "histogram.svg": Folder(folder).digest("histogram.svg"),
    }
    path.write_bytes(canonical(manifests.seal(json.loads(path.read_bytes()) | {"files": files})))
    status, said = verified(folder, capsys)
    assert (status, "results.csv" in said) == (UNCHECKED, True)


def test_verify_fetched_job_needs_the_input(source, capsys):
    """A job on AWS has no path; its rows are scored again from a copy, and what only S3 knows is named."""
    folder = scored(source)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["path"]
    manifest["input"] |= {"bucket": "inbox", "key": "in/reviews.jsonl", "version": "v1", "etag": "ab" * 16}
    path.write_bytes(canonical(manifests.seal(rekeyed(manifest))))
    status, said = verified(folder, capsys)
    assert (status, "not checked: its rows: the input is not there" in said) == (UNCHECKED, True)
    assert verified(folder, capsys, "--input", str(source)) == (
        UNCHECKED,
        "error: what was checked holds; not checked: the input's bucket, version and ETag, which only S3 knows\n",
    )
    forge_label(folder)
    assert verified(folder, capsys, "--input", str(source))[0] == CHANGED


def test_verify_several_manifests_worst_status(source, folder, capsys):
    """Changed counts most, then what could not be done, then what could not be checked. One input fits one manifest."""
    good, unchecked, changed = folder, source.parent / "unchecked", source.parent / "changed"
    for other in (unchecked, changed):
        shutil.copytree(folder, other)
    (unchecked / "notes.txt").write_text("")
    (changed / "part-00000.jsonl").write_text("")
    for folders, status in (
        ((good, good), SAME),
        ((good, unchecked), UNCHECKED),
        ((unchecked, good, changed), CHANGED),
        ((unchecked, source.parent / "none", good), 2),
        ((changed, source.parent / "none"), CHANGED),
        ((good, good, "--input", source), 2),
    ):
        assert main(["verify", *map(str, folders)]) == status
    assert "--input names the file of one manifest" in capsys.readouterr().err


# Upgrades


@dataclass(frozen=True)
class NewOptions(jobs.Options):
    """The settings of a later version."""

    shout: bool = False


def other_code(monkeypatch, digest="0" * 64):
    monkeypatch.setattr(code, "digest", lambda: digest)


def other_rules(monkeypatch):
    """Redact as another version does."""
    other_code(monkeypatch)
    encoded = jobs.ResultEncoder._redacted
    monkeypatch.setattr(
        jobs.ResultEncoder, "_redacted", lambda self, text: encoded(self, text.replace("example.com", "example org"))
    )


def test_verify_after_upgrade_same_rows_hold(folder, capsys, monkeypatch):
    other_code(monkeypatch)
    status, said = verified(folder, capsys)
    assert (status, "all holds" in said, "code 000000000000" in said) == (SAME, True, True)


def test_verify_after_upgrade_accuses_nobody(folder, capsys, monkeypatch):
    """Other rows by other code are no reproach: the version that made them is named. Changes are noticed even so."""
    made = code.identity()["sha256"][:12]
    with monkeypatch.context() as patched:
        other_rules(patched)
        status, said = verified(folder, capsys)
        assert (status, f"made by Candor 0.1.0, code {made}" in said) == (UNCHECKED, True)
        assert "they can be checked by that version only" in said
        part = folder / "part-00000.jsonl"
        part.write_bytes(part.read_bytes().replace(b"positive", b"negative"))
        assert verified(folder, capsys)[0] == CHANGED


def test_score_after_upgrade_scores_again(source, folder, monkeypatch):
    """The same file is no longer done: yesterday's unmasked text stays in yesterday's folder."""
    assert scored(source) == folder
    before = {path: path.read_bytes() for path in folder.iterdir()}
    other_rules(monkeypatch)
    new = scored(source)
    assert new != folder
    assert "example org" in (new / "part-00001.jsonl").read_text()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_job_of_other_code_is_refused(source, tmp_path, monkeypatch):
    """A job that one version planned, on AWS during a deployment for instance, is not scored by another."""
    inbox, results = Folder(source.parent), Folder(tmp_path / "parts")
    classifier = jobs.Classifier.load(TWO)
    model = classifier.bundle.identity
    job, (chunk,) = jobs.plan(inbox, inbox.source(source.name), model, jobs.Options(), "a/")
    early = jobs.Job.from_dict({name: each for name, each in job.to_dict().items() if name != "code"})
    with pytest.raises(jobs.CodeChangedError):
        jobs.score(early, 0, chunk, inbox, results, classifier)
    with monkeypatch.context() as patched:
        other_code(patched)
        with pytest.raises(jobs.CodeChangedError):
            jobs.score(job, 0, chunk, inbox, results, classifier)
    assert results.files("a/") == []
    jobs.score(jobs.Job.from_dict(json.loads(json.dumps(job.to_dict()))), 0, chunk, inbox, results, classifier)
    assert results.files("a/") == ["part-00000.jsonl"]


def test_upgrade_within_a_job_mixes_nothing(source, tmp_path):
    """Two versions as programs: what one left unfinished the other does not go on with; each can check its own."""
    for version in ("old", "new"):
        shutil.copytree(SERVING / "candor", tmp_path / version / "candor", ignore=shutil.ignore_patterns("__pycache__"))
    rules = tmp_path / "new/candor/redact/modes.py"
    assert '"mask"' in rules.read_text()
    (tmp_path / "new/candor/batch/jobs.py").write_text(
        (tmp_path / "new/candor/batch/jobs.py").read_text().replace(""""tokens":""", """"words":""")
    )

    def run(version, *arguments):
        variables = ENVIRONMENT | {"PYTHONPATH": str(tmp_path / version)}
        command = [sys.executable, "-m", "candor", *map(str, arguments)]
        return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, cwd=tmp_path)

    out = tmp_path / "out"
    assert run("old", "score", source, out, "--rows", "2").returncode == 0
    (old,) = out.iterdir()
    for name in ("manifest.json", "part-00002.jsonl"):
        (old / name).unlink()
    assert run("new", "score", source, out, "--rows", "2").returncode == 0
    (new,) = {*out.iterdir()} - {old}
    assert ['"words":' in part.read_text() for part in sorted(new.glob("part-*"))] == [True, True, False]
    assert run("old", "score", source, out, "--rows", "2").returncode == 0
    assert not [part for part in old.glob("part-*") if '"words":' in part.read_text()]
    for version, folder, status in (("old", old, 0), ("new", new, 0), ("new", old, 3), ("old", new, 3)):
        done = run(version, "verify", folder)
        assert done.returncode == status, done.stderr


def test_verify_new_setting_breaks_no_manifest(folder, capsys, monkeypatch):
    """What was not there yet is as its default; one that only a later version knows is said to be unknown."""
    monkeypatch.setattr("candor.batch.verify.Options", NewOptions)
    assert verified(folder, capsys)[0] == SAME
    assert jobs.Options().to_dict() == NewOptions().to_dict()
    assert NewOptions(shout=True).to_dict() == jobs.Options().to_dict() | {"shout": True}
    monkeypatch.undo()
    path = folder / "manifest.json"
    said = json.loads(path.read_bytes())
    later = said | {"settings": said["settings"] | {"shout": True}, "software": said["software"] | {"sha256": "0" * 64}}
    path.write_bytes(canonical(manifests.seal(rekeyed(later))))
    status, said = verified(folder, capsys)
    assert (status, "this version does not know the setting 'shout'" in said) == (UNCHECKED, True)


def test_verify_finds_the_model_in_the_store(source, folder, capsys, tmp_path, monkeypatch):
    """After a new model the old one is looked for by its digest; if it is gone the manifest still names it."""
    monkeypatch.chdir(tmp_path)
    other = Path(str(TWO).replace("two", "five"))
    status, said = verified(folder, capsys, "--model", str(other), "--store", "none")
    model = Bundle.open(TWO).identity
    assert (status, f"is not here ({model['name']} {model['version']}, {model['sha256'][:12]})" in said) == (3, True)
    assert "hint: pass --model NAME or --store PLACE" in said
    files = {f"bundle/{path.name}": path.read_bytes() for path in TWO.iterdir() if path.name != "manifest.json"}
    files["bundle/manifest.json"] = (TWO / "manifest.json").read_bytes()
    ModelStore("kept").add("reviews", "v1", lambda version: files)
    assert verified(folder, capsys, "--model", str(other), "--store", "kept")[0] == SAME
    Path("kept/reviews/v0/bundle").mkdir(parents=True)
    Path("kept/reviews/v0/bundle/manifest.json").mkdir()  # damaged, and no reason to stop
    assert verified(folder, capsys, "--model", str(other), "--store", "kept")[0] == SAME
    with monkeypatch.context() as patched:
        load = options.load
        patched.setattr(options, "load", lambda path: refuse() if path != other else load(path))
        for named in (other, TWO):
            status, said = verified(folder, capsys, "--model", str(named), "--store", "kept")
            assert (status, "cannot be read by this version of Candor" in said) == (UNCHECKED, True)
            assert "hint" not in said
        with pytest.raises(CommandError):
            options.load(TWO)
    forge_label(folder)
    assert verified(folder, capsys, "--model", str(other), "--store", "kept")[0] == CHANGED
    assert verified(folder, capsys, "--model", str(other), "--store", "none")[0] == UNCHECKED


def refuse():
    raise CommandError("the model has another featuriser")


def unsealed(folder, version=RULES):
    """Make a manifest as it was before manifests had a seal and named their code."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    for name in ("seal", "software", "files"):
        manifest.pop(name, None)
    path.write_bytes(canonical(rekeyed(manifest)))


def test_verify_first_manifests_are_not_accused(source, capsys):
    """Their rows are scored again; their times and path had nothing to hold them."""
    folder = scored(source)
    unsealed(folder)
    status, said = verified(folder, capsys)
    assert (status, said) == (
        UNCHECKED,
        "error: what was checked holds; not checked: its times, path and version, since it has no seal: "
        "manifests had none at first\n",
    )
    path = folder / "manifest.json"
    whole = path.read_bytes()
    for forged in (
        whole.replace(b'"read": 5', b'"read": 6'),
        whole.replace(b'"id_column": "id"', b'"id_column": "no"'),
        whole.replace(b'"parts"', b'"extra": 1,\n "parts"'),
    ):
        assert forged != whole
        path.write_bytes(forged)
        assert verified(folder, capsys)[0] == CHANGED
    path.write_bytes(whole)
    forge_label(folder)
    unsealed(folder)
    status, said = verified(folder, capsys)
    assert (status, "made by a version of Candor that did not name its code" in said) == (UNCHECKED, True)


def test_verify_manifest_of_version_1_holds(tmp_path, capsys):
    """Results of the first version are verified by its own rules, under its own job id."""
    (tmp_path / "a.csv").write_bytes(b"id,text\r\n1,A wonderful film\r\n2\r\n,\r\n4,a boring\rmess\r\n")
    inbox, results = Folder(tmp_path), Folder(tmp_path / "out")
    classifier = jobs.Classifier.load(TWO)
    source, model = inbox.source("a.csv"), classifier.bundle.identity
    job, chunks = jobs.plan(inbox, source, model, jobs.Options(), "a/", version=1)
    for number, chunk in enumerate(chunks):
        jobs.score(job, number, chunk, inbox, results, classifier)
    manifest = manifests.finish(job, chunks, results, path=str(tmp_path / "a.csv"))
    assert manifest["code_version"] == 1
    assert manifest["counts"]["errors"] == {"ragged": 1, "blank": 1}
    assert verified(tmp_path / "out/a", capsys)[0] == SAME
    unsealed(tmp_path / "out/a", version=1)
    assert verified(tmp_path / "out/a", capsys)[0] == UNCHECKED
    known = jobs.job_id(Source("inbox", "a.csv", "v1", "", 0), {"sha256": "0" * 64}, jobs.Options().to_dict(), None, 1)
    assert known == "2ed22094cc9c80db9d94f5f7763d464a", "the id that the first version gave this job"


def test_verify_manifest_of_version_2_holds(tmp_path, capsys):
    """Results of the second version are verified by its own rules: which lines are blank, and what is an id."""
    (tmp_path / "a.csv").write_text('id,text\n1,A wonderful film\n"",""\n\u3000,\n2,boring\n')
    (tmp_path / "b.jsonl").write_text('{"id":7.0,"text":"good"}\n\u00a0\n{"id":7,"text":"bad"}\n')
    inbox, results, classifier = Folder(tmp_path), Folder(tmp_path / "out"), jobs.Classifier.load(TWO)
    for name, errors, blank in (
        ("a.csv", {"blank": 2}, 2),
        ("b.jsonl", {"wrong_type": 1, "invalid_json": 1}, 1),
    ):
        source, model = inbox.source(name), classifier.bundle.identity
        job, chunks = jobs.plan(inbox, source, model, jobs.Options(), f"{name}/", version=2)
        for number, chunk in enumerate(chunks):
            jobs.score(job, number, chunk, inbox, results, classifier)
        manifest = manifests.finish(job, chunks, results, path=str(tmp_path / name))
        assert (manifest["code_version"], manifest["counts"]["errors"]) == (2, errors)
        assert "blank_lines" not in manifest
        assert verified(tmp_path / "out" / name, capsys)[0] == SAME
        assert main(["score", str(tmp_path / name), str(tmp_path / "now" / name)]) == 0
        now = json.loads(next((tmp_path / "now" / name).glob("*/manifest.json")).read_text())
        assert (now["code_version"], now["counts"]["errors"], now["blank_lines"]) == (3, {}, blank)


# What earlier runs left


def test_score_damaged_part_is_made_again(source, capsys, monkeypatch):
    """Between two runs of a job that was stopped, and after it was done: held against its digest, and said."""
    folder = scored(source)
    whole = {path.name: path.read_bytes() for path in folder.glob("part-*")}
    part = folder / "part-00001.jsonl"
    for damage in (b"", whole[part.name][:-1], whole[part.name].replace(b'"tokens":', b'"tokens": ')):
        part.write_bytes(damage)
        capsys.readouterr()
        assert scored(source) == folder
        assert "damaged, so made again: part-00001.jsonl\n" in capsys.readouterr().err
        assert {path.name: path.read_bytes() for path in folder.glob("part-*")} == whole
        assert verified(folder, capsys)[0] == SAME
    shutil.rmtree(folder)
    with monkeypatch.context() as patched:
        patched.setattr(manifests, "finish", lambda *_, **__: exit(1))
        with pytest.raises(SystemExit):
            scored(source)
    part.write_bytes(whole[part.name].replace(b"A", b"B"))
    assert scored(source) == folder
    assert "damaged, so made again: part-00001.jsonl\n" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.glob("part-*")} == whole
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_score_damaged_manifest_is_made_again(source, folder, capsys):
    path = folder / "manifest.json"
    for damage in (b"", path.read_bytes()[:-1], path.read_bytes().replace(b'"read": 5', b'"read": 6')):
        path.write_bytes(damage)
        shutil.copy(folder / "part-00000.jsonl", folder / "part-00009.jsonl")
        assert scored(source, "--csv", "--picture") == folder
        assert "damaged, so made again: manifest.json, part-00000.jsonl" in capsys.readouterr().err
        assert verified(folder, capsys)[0] == SAME


def test_finish_changed_part_is_not_sealed(source, tmp_path):
    """A part that is changed while the others are made."""
    inbox, results = Folder(source.parent), Folder(tmp_path / "parts")
    classifier = jobs.Classifier.load(TWO)
    source = inbox.source(source.name)
    job, chunks = jobs.plan(inbox, source, classifier.bundle.identity, jobs.Options(rows=2), "a/")
    for number, chunk in enumerate(chunks):
        jobs.score(job, number, chunk, inbox, results, classifier)
    part = tmp_path / "parts/a/part-00000.jsonl"
    whole = part.read_bytes()
    part.write_bytes(whole.replace(b"positive", b"negative"))
    with pytest.raises(jobs.ConflictError, match=r"part-00000\.jsonl was changed after it was written"):
        manifests.finish(job, chunks, results)
    assert not (tmp_path / "parts/a/manifest.json").exists()
    part.write_bytes(whole)
    assert manifests.finish(job, chunks, results)["status"] == "done"


def test_score_table_again_is_listed(source, folder, capsys):
    """Other tables of the same results replace the first ones in the manifest, too."""
    listed = json.loads((folder / "manifest.json").read_bytes())["files"]
    assert {*listed} == {"histogram.svg", "results.csv"}
    scored(source, "--csv-bom")
    again = json.loads((folder / "manifest.json").read_bytes())["files"]
    assert (again["histogram.svg"], again["results.csv"]) != (listed["histogram.svg"], listed["results.csv"])
    assert verified(folder, capsys)[0] == SAME
