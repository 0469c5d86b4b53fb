"""The model store and its commands: add, find, list, install and go back, compare; in a folder and in a bucket."""

import json
import shutil
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from candor import resources
from candor.cli import samples, use
from candor.cli.diff import paired_accuracies
from candor.cli.main import main
from candor.cli.store import ModelError, ModelStore, resolve
from candor.errors import BundleError, DeniedError
from candor.model import bundle
from candor.model.bundle import Bundle
from candor.model.classifier import Classifier
from candor.model.explain import Explainer
from tests import bundles

ROOT = Path(__file__).parents[3]
DAY = date(2026, 11, 27)
COLOURS = ("red", "green", "blue", "yellow", "青")


def figure(value):
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


@cache
def network(labels, sign):
    """Return the files of a made-up model; one with the other sign turns most of its answers round."""
    model = bundles.additive(labels=labels)
    return replace(model, weights=sign * model.weights).to_files(16)


def contents(tmp_path, name="tickets", seed=0, labels=("bad", "good"), **changes):
    """Return a function that makes what the store keeps of a version; odd seeds turn the model round."""

    def make(version):
        metrics = {each: figure(0.9) for each in ("accuracy", "f1", "log_loss", "ece")} | {"split": "test", "n": 300}
        described = {
            "name": name,
            "version": version,
            "metrics": metrics,
            "data": {"sha256": "ab" * 32},
            "seed": seed,
        } | changes
        files = {
            **network(len(labels), -1 if seed % 2 else 1),
            "model.json": bundle.canonical(bundles.model_json(("word", "pair"), labels, **described)),
            "metrics.json": bundle.canonical({"strongest": {labels[0]: [{"ngram": "boring"}, {"ngram": "a film"}]}}),
        }
        folder = tmp_path / f"made-{name}-{version}-{seed}"
        folder.mkdir(exist_ok=True)
        bundle.write(folder, files)
        classifier = Classifier.load(folder)
        answers = classifier.predict(["a good film", "bad"])
        cases = [
            {"text": text, "label": each.label, "probabilities": each.probabilities}
            for text, each in zip(["a good film", "bad"], answers, strict=True)
        ]
        files["golden.json"] = bundle.canonical({"tolerance": 1e-5, "cases": cases})
        kept = {f"bundle/{path}": content for path, content in bundle.sealed(files).items()}
        return kept | {"report/report.json": b"{}"}

    return make


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path, monkeypatch):
    """An empty store of each kind."""
    if request.param == "folder":
        yield ModelStore(str(tmp_path / "models"))
        return
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        place = {"LocationConstraint": "eu-central-1"}
        boto3.client("s3").create_bucket(Bucket="models", CreateBucketConfiguration=place)
        yield ModelStore("s3://models/of/ours")


def test_add_counts_the_versions_of_a_day(store, tmp_path):
    """Versions are days and numbers; what is there is never written over, and the latest is found by its number."""
    added = [store.add("tickets", DAY, contents(tmp_path, seed=seed)) for seed in range(11)]
    assert [each.version for each in added] == [f"2026-11-27-{number}" for number in range(1, 12)]
    assert [each.version for each in store.versions("tickets")] == [each.version for each in added]
    assert len({each.open().digest for each in added}) == 11
    assert store.find("tickets").version == "2026-11-27-11"
    assert store.find("tickets@2026-11-27-2").open().model["version"] == "2026-11-27-2"
    assert store.add("tickets", date(2026, 11, 28), contents(tmp_path)).version == "2026-11-28-1"
    assert store.find("tickets").version == "2026-11-28-1"


def test_add_given_version_is_never_replaced(store, tmp_path):
    first = store.add("tickets", "v1", contents(tmp_path))
    with pytest.raises(ModelError, match="tickets@v1 exists already"):
        store.add("tickets", "v1", contents(tmp_path, seed=1))
    assert store.find("tickets@v1").digest == first.digest
    assert store.add("tickets", "v2", contents(tmp_path, seed=1)).digest != first.digest


def test_add_that_breaks_off_is_not_listed(store, tmp_path, monkeypatch):
    """Without its manifest a version is not there, and nothing of it stays."""
    create, left = store.files.create, 3

    def interrupted(key, content):
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt
        return create(key, content)

    with monkeypatch.context() as patched:
        patched.setattr(store.files, "create", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.add("tickets", DAY, contents(tmp_path))
    assert list(store.models()) == []
    assert store.files.folders(store.prefix) == []
    assert not (tmp_path / "models").exists()
    assert store.add("tickets", DAY, contents(tmp_path)).open().labels == ("bad", "good")


def test_add_leaves_what_others_made(store, tmp_path, monkeypatch):
    """It withdraws its own files only, and never writes into those of somebody else."""
    create = store.files.create
    place = store.add("tickets", "v1", contents(tmp_path)).key.removesuffix("bundle/")

    def stopped(key, content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(store.files, "create", stopped)
        with pytest.raises(KeyboardInterrupt):
            store.add("tickets", "v1", contents(tmp_path, seed=1))
    assert store.find("tickets@v1").open().labels == ("bad", "good")
    assert create(place.replace("/v1/", "/v2/") + "bundle/manifest.json", b"{}")
    with pytest.raises(ModelError, match="has other files already"):
        store.add("tickets", "v2", contents(tmp_path, seed=1))
    assert store.files.get(place.replace("/v1/", "/v2/") + "bundle/manifest.json") == b"{}"
    assert store.add("tickets", "v3", contents(tmp_path, seed=1)).open().labels == ("bad", "good")


def test_check_refuses_before_the_work(store, tmp_path):
    """A version that is there, or that a stopped training left, and a place that cannot be written to."""
    store.check("tickets", "v1")
    model = store.add("tickets", "v1", contents(tmp_path))
    with pytest.raises(ModelError, match="tickets@v1 exists already"):
        store.check("tickets", "v1")
    store.files.create(model.key.replace("/v1/", "/v2/") + "model.json", b"{}")
    with pytest.raises(ModelError) as caught:
        store.check("tickets", "v2")
    assert caught.value.problem.startswith("tickets@v2 is unfinished in ")
    assert caught.value.hint == f"remove {store.place}/tickets/v2, or give another --version"
    assert store.find("tickets").version == "v1"
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written to"):
        ModelStore(str(tmp_path / "file/models")).check("tickets")


def refused(client, monkeypatch, operation):
    """Make a bucket refuse an operation, as it does without the permission."""

    def denied(**_):
        raise ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}, operation)

    monkeypatch.setattr(client, operation, denied)


@pytest.mark.parametrize("store", ["bucket"], indirect=True)
def test_check_bucket_refuses_before_the_work(store, tmp_path, monkeypatch):
    """A bucket that cannot be written to is found out before training; trying it out leaves one mark, and no model."""
    for _ in range(2):
        store.check("tickets", "v1")
    client = store.files.client
    assert [each["Key"] for each in client.list_objects_v2(Bucket="models")["Contents"]] == ["of/ours/.candor"]
    assert store.names() == []
    with monkeypatch.context() as patched:
        refused(client, patched, "put_object")
        with pytest.raises(DeniedError, match=r"S3 PutObject denied on bucket models; the role needs s3:PutObject"):
            store.check("tickets", "v1")
    create = store.files.create
    with monkeypatch.context() as patched:  # what may not be removed is only left
        refused(client, patched, "delete_object")
        patched.setattr(
            store.files, "create", lambda key, body: interrupt() if key.endswith("manifest.json") else create(key, body)
        )
        with pytest.raises(KeyboardInterrupt):
            store.add("tickets", "v1", contents(tmp_path))
    with pytest.raises(ModelError, match="tickets@v1 is unfinished"):
        store.check("tickets", "v1")
    assert store.add("tickets", "v2", contents(tmp_path)).open().labels == ("bad", "good")


def interrupt():
    raise KeyboardInterrupt


def test_names_leave_out_what_is_no_model(store, tmp_path, capsys):
    """Foreign folders, whatever their names, are not listed, and do not reach the terminal."""
    store.add("tickets", "v1", contents(tmp_path))
    for name in ("\x1b[31mred\nline", "empty", "v\u202egnp"):
        store.files.create(f"{store.prefix}{name}/v\u202egnp/bundle/manifest.json", b"{}")
    assert [str(model) for model in store.models()] == ["tickets@v1"]
    with pytest.raises(ModelError) as caught:
        store.find("none")
    assert caught.value.hint == "its models: tickets"


def test_bucket_cache_that_is_damaged_heals(store, tmp_path):
    model = store.add("tickets", "v1", contents(tmp_path))
    folder = model.folder()
    if store.prefix:
        (folder / "model.json").write_bytes(b"{}")
        assert store.find("tickets").open().labels == ("bad", "good")
    assert (folder / "model.json").read_bytes() == store.files.get(f"{model.key}model.json")


@pytest.mark.parametrize("place", ["https://host/models", "S3://bucket/models", "file:///models"])
def test_store_of_another_kind_is_refused(place, capsys):
    for arguments in (["models", "--store", place], ["predict", "a", "--model", f"{place}/tickets"]):
        assert main(arguments) == 2
        assert capsys.readouterr().err == (
            f"error: {place} is no model store\nhint: a store is a folder, or s3://BUCKET/PREFIX\n"
        )


def test_find_unknown_model_names_what_is_there(store, tmp_path):
    store.add("tickets", "v1", contents(tmp_path))
    for wanted, problem, hint in (
        ("ticket", "there is no model 'ticket' in ", "its models: tickets"),
        ("tickets@v2", "tickets has no version 'v2' in ", "its versions: v1"),
        ("../tickets", "there is no model '../tickets' in ", "its models: tickets"),
    ):
        with pytest.raises(ModelError) as caught:
            store.find(wanted)
        assert caught.value.problem == problem + store.place
        assert caught.value.hint == hint
    assert str(store.find("tickets@v1")) == "tickets@v1"


def test_resolve_names_and_folders(tmp_path, monkeypatch):
    """A bundle, a version and a model are found by their folders, too; names win over folders that hold no model."""
    monkeypatch.chdir(tmp_path)
    store = ModelStore("models")
    old, new = (store.add("tickets", version, contents(tmp_path, seed=seed)) for seed, version in enumerate("12"))
    Path("tickets").mkdir()
    for wanted, model in {
        "tickets": new,
        "tickets@1": old,
        "models/tickets": new,
        "models/tickets/1": old,
        "models/tickets/1/bundle": old,
    }.items():
        assert bundle.digest((resolve(wanted, "models") / "manifest.json").read_bytes()) == model.digest
    assert resolve("./nowhere", "models") == Path("nowhere")


def test_bucket_model_is_fetched_once(store, tmp_path):
    """A model from a bucket is verified, and kept by its digest; one that was tampered with is refused."""
    model = store.add("tickets", "v1", contents(tmp_path))
    assert main(["predict", "a good film", "--model", f"{store.place}/tickets", "--words", "0"]) == 0
    if store.prefix:
        assert [path.name for path in (tmp_path / "cache/candor/models").iterdir()] == [model.digest]
        damaged = store.add(
            "tickets", "v2", lambda version: contents(tmp_path, seed=2)(version) | {"bundle/card.md": b""}
        )
        key = f"{damaged.key}features.bin"
        boto3.client("s3").put_object(Bucket="models", Key=key, Body=b"other")
        with pytest.raises(BundleError, match=r"features\.bin is not the file"):
            damaged.open()
    assert store.find("tickets@v1").open().digest == model.digest


def test_models_lists_all_and_marks_the_one_in_use(store, tmp_path, capsys):
    model = store.add("tickets", "v1", contents(tmp_path, labels=COLOURS))
    assert main(["models", "--store", store.place]) == 0
    used, listed = capsys.readouterr().out.splitlines()[1:]
    assert used.startswith("*  ")
    assert used.endswith("layers/model, not in the store")
    assert listed.split() == ["tickets", "v1", "5", "90.0%", "300", "0.0", "MB", "abababababab"]
    assert main(["models", "--store", store.place, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[1]["sha256"] == model.digest
    assert [row["in_use"] for row in rows] == [True, False]


def test_models_shows_damaged_ones(tmp_path, capsys):
    store = ModelStore(str(tmp_path / "models"))
    store.add("tickets", "v1", contents(tmp_path))
    whole = store.add("tickets", "v2", contents(tmp_path))
    (tmp_path / "models/tickets/v1/bundle/features.bin").write_bytes(b"")
    assert main(["models", "--store", store.place]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "damaged: features.bin is not the file that manifest.json describes" in lines[-2]
    assert whole.version in lines[-1]
    assert "damaged" not in lines[-1]


def test_models_missing_object_ends_no_list(store, tmp_path, capsys):
    """A version whose file is gone is shown as damaged, and the others are listed."""
    store.add("tickets", "v1", contents(tmp_path))
    broken = store.add("tickets", "v2", contents(tmp_path, seed=1))
    whole = store.add("tickets", "v3", contents(tmp_path, seed=2))
    store.files.remove(f"{broken.key}features.bin")
    assert main(["models", "--store", store.place, "--json"]) == 0
    _, first, second, third = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ["error" in row for row in (first, second, third)] == [False, True, False]
    assert second["version"] == broken.version
    assert third["sha256"] == whole.digest


# use


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a model in use, two others in its store, and all of its files as they were."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "events", root / "events")
    shutil.copy(ROOT / "template.yaml", root)
    (root / "layers/model/bundle").mkdir(parents=True)
    monkeypatch.setattr(resources, "ROOT", root)
    monkeypatch.setattr(resources, "INSTALLED", False)
    monkeypatch.setenv("CANDOR_STORE", str(root / "models"))
    first = contents(tmp_path, name="first")("v1")
    bundle.write(
        root / "layers/model/bundle",
        {path[7:]: each for path, each in first.items() if path[:7] == "bundle/" and path != "bundle/manifest.json"},
    )
    checkout = use.Checkout(root)
    checkout.install(Bundle.open(checkout.bundle), [])
    (root / use.HISTORY).unlink()
    store = ModelStore(str(root / "models"))
    store.add("tickets", "v1", contents(tmp_path, seed=1))
    store.add("tickets", "v2", contents(tmp_path, seed=2, labels=COLOURS))
    return checkout


def tracked(root):
    """Return the content of every file of a checkout but its store."""
    paths = (path for path in root.rglob("*") if path.is_file() and "models" not in path.relative_to(root).parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def test_use_installs_and_goes_back(checkout, capsys):
    """Bundle, template and events follow the model; each way back restores every byte; nothing is lost."""
    states = [tracked(checkout.root)]
    for name in ("tickets@v1", "tickets"):
        assert main(["use", name]) == 0
        states.append(tracked(checkout.root))
    digest = Bundle.open(checkout.bundle).digest
    assert Bundle.open(checkout.bundle).labels == COLOURS
    assert f'BUNDLE_DIGEST: "{digest}"' in (checkout.root / "template.yaml").read_text()
    events = samples.samples(checkout.root)
    assert json.loads((checkout.root / "events/batch_score.json").read_text()) == events["batch_score.json"]
    assert len({json.dumps(sorted(state.items()), default=str) for state in states}) == 3
    for state in reversed(states[:-1]):
        assert main(["use", "--back"]) == 0
        assert tracked(checkout.root) == state
    capsys.readouterr()
    assert main(["use", "--back"]) == 1
    assert capsys.readouterr().err.startswith("error: no other model was in use before\n")
    kept = [str(model) for model in ModelStore(str(checkout.root / "models")).models()]
    assert kept == ["first@v1", "tickets@v1", "tickets@v2"]


def test_use_same_model_twice_goes_back_once(checkout):
    before = tracked(checkout.root)
    for _ in range(2):
        assert main(["use", "tickets"]) == 0
    assert main(["use", "--back"]) == 0
    assert tracked(checkout.root) == before


class Killed(BaseException):
    """Stands for a process that is killed: nothing after it runs."""


def stopping(monkeypatch, at, error):
    """Let the rename with this number fail."""
    rename, left = Path.rename, at

    def counted(path, target):
        nonlocal left
        left -= 1
        if left == 0:
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", counted)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk full")])
@pytest.mark.parametrize("at", range(1, 16))
def test_use_that_is_stopped_changes_nothing(at, error, checkout, monkeypatch):
    """Wherever it stops, bundle, template, events and history are those of before; the next one works."""
    before = tracked(checkout.root)
    with monkeypatch.context() as patched:
        stopping(patched, at, error)
        assert main(["use", "tickets"]) != 0
    assert tracked(checkout.root) == before
    assert checkout.history() == []
    assert main(["use", "tickets"]) == 0
    assert tracked(checkout.root) != before
    assert main(["use", "--back"]) == 0
    assert tracked(checkout.root) == before


@pytest.mark.parametrize("at", range(1, 16))
def test_use_that_was_killed_is_undone_by_the_next(at, checkout, monkeypatch, capsys):
    """A kill leaves files between two places; the next command puts them back first, and the way back stays open."""
    before = tracked(checkout.root)
    with monkeypatch.context() as patched:
        stopping(patched, at, Killed)
        patched.setattr(use.Checkout, "recover", lambda self: False)
        with pytest.raises(Killed):
            main(["use", "tickets"])
    assert main(["use", "tickets@v1"]) == 0
    assert "a `candor use` that was stopped has been undone\n" in capsys.readouterr().out
    assert main(["use", "--back"]) == 0
    assert tracked(checkout.root) == before
    assert not (checkout.root / "models/.use").exists()


def test_use_two_at_once_one_is_refused(checkout, capsys):
    before = tracked(checkout.root)
    with checkout.locked():
        assert main(["use", "tickets"]) == 2
        assert capsys.readouterr().err.startswith("error: another `candor use` is at work in this checkout\n")
    assert tracked(checkout.root) == before
    assert main(["use", "tickets"]) == 0


@pytest.mark.parametrize("content", ["5", "null", '"abc"', '{"a":1}', '["x"]', "[{}]", '[{"name":"a"}]', "[1", "\xff"])
def test_use_damaged_history_is_named(content, checkout, capsys):
    (checkout.root / "models/.used.json").write_bytes(content.encode("latin-1"))
    for arguments in (["--back"], ["tickets"]):
        assert main(["use", *arguments]) == 2
        assert capsys.readouterr().err.startswith("error: models/.used.json is damaged\nhint: remove it; ")
    (checkout.root / "models/.used.json").unlink()
    assert main(["use", "tickets"]) == 0


def test_use_keeps_line_ends_and_bytes_of_template(checkout):
    """The template is the user's: what is no UTF-8 in it, and its line ends, stay."""
    template = checkout.root / "template.yaml"
    template.write_bytes(template.read_bytes().replace(b"\n", b"\r\n") + b"# \xff\r\n")
    before = template.read_bytes()
    assert main(["use", "tickets"]) == 0
    assert len(template.read_bytes()) == len(before)
    assert template.read_bytes().count(b"\r\n") == before.count(b"\r\n")
    assert main(["use", "--back"]) == 0
    assert template.read_bytes() == before


def test_use_wrong_golden_case_is_refused(checkout, tmp_path, capsys):
    """A model that does not answer its golden cases is not installed."""
    before = tracked(checkout.root)

    def make(version):
        made = contents(tmp_path, seed=3)(version)
        files = {path[7:]: each for path, each in made.items() if path[:7] == "bundle/" and "manifest" not in path}
        golden = json.loads(files["golden.json"])
        golden["cases"][0]["probabilities"] = {"bad": 0.5, "good": 0.5}
        files["golden.json"] = bundle.canonical(golden)
        return {f"bundle/{path}": each for path, each in bundle.sealed(files).items()}

    ModelStore(str(checkout.root / "models")).add("tickets", "v3", make)
    assert main(["use", "tickets"]) == 1
    assert capsys.readouterr().err == "error: the bundle does not answer its own golden cases\n"
    assert tracked(checkout.root) == before
    assert main(["use", "tickets@v2"]) == 0


def test_use_needs_a_model_or_back(checkout, capsys):
    for arguments in ([], ["tickets", "--back"]):
        assert main(["use", *arguments]) == 2
        assert capsys.readouterr().err.startswith("error: give a MODEL, or --back\n")
    assert main(["use", "tickets"]) == 0


def test_use_damaged_model_can_be_replaced(checkout):
    """A bundle that is damaged cannot be kept, and stops nobody from using another."""
    (checkout.bundle / "features.bin").write_bytes(b"")
    assert main(["use", "tickets"]) == 0
    assert Bundle.open(checkout.bundle).labels == COLOURS


# diff


def compared(capsys, *arguments):
    capsys.readouterr()
    assert main(["diff", *arguments]) == 0
    return capsys.readouterr().out


def test_diff_shows_figures_and_words(checkout, capsys):
    checkout.keep()
    output = compared(capsys, "tickets@v1", "first")
    assert "model              tickets v1                 first v1\n" in output
    assert "accuracy           0.9000 (0.8900 to 0.9100)  0.9000 (0.8900 to 0.9100)\n" in output
    assert "boring" in output
    found = json.loads(compared(capsys, "tickets@v1", "first", "--json"))
    (boring,) = found["words"]
    for place, name in enumerate(("tickets@v1", "first")):
        classifier = Classifier.load(resolve(name, str(checkout.root / "models")))
        explanation = Explainer(classifier)("boring", boring["label"])
        assert boring["weights"][place] == pytest.approx(explanation.values.sum(), abs=1e-3)


def test_diff_file_lists_changed_labels(checkout, tmp_path, capsys):
    """Every text whose label changes is named by its line; labels that are known give both accuracies."""
    checkout.keep()
    data = tmp_path / "new.csv"
    texts = ["good", "bad", "a very dull film", "wonderful", "it is not great", "the time", "zzz qqq"]
    data.write_text("text,label\n" + "".join(f"{text},good\n" for text in texts))
    folders = [resolve(name, str(checkout.root / "models")) for name in ("first", "tickets@v1")]
    labels = [[each.label for each in Classifier.load(folder).predict(texts)] for folder in folders]
    differ = [line for line, (one, other) in enumerate(zip(*labels, strict=True), 2) if one != other]
    assert 0 < len(differ) < len(texts)
    found = json.loads(compared(capsys, "first", "tickets@v1", str(data), "--label", "label", "--json"))
    assert [each["line"] for each in found["changed"]] == differ
    assert [round(each["value"] * len(texts)) for each in found["accuracies"]["of"]] == [
        each.count("good") for each in labels
    ]
    output = compared(capsys, "first", "tickets@v1", str(data))
    assert f"{len(differ)} of {len(texts)} texts change their label" in output
    assert "accuracy on them" not in output


def test_diff_same_model_has_no_difference(checkout, tmp_path, capsys):
    data = tmp_path / "new.txt"
    data.write_text("good\nbad\n")
    found = json.loads(compared(capsys, "tickets@v1", "tickets@v1", str(data), "--json"))
    assert found["changed"] == []
    assert found["words"] == []


def test_diff_names_labels_of_one_only(checkout, capsys):
    checkout.keep()
    output = compared(capsys, "first", "tickets@v2")
    assert "only A has the labels bad, good" in output
    assert f"only B has the labels {', '.join(sorted(COLOURS))}" in output


def test_diff_masks_words_of_a_file(checkout, tmp_path, capsys):
    """Words are shown, personal data is not."""
    checkout.keep()
    data = tmp_path / "new.txt"
    data.write_text("good film, write to jane.canary@example.com\n")
    output = compared(capsys, "first", "tickets@v1", str(data), "--json")
    assert "film" in output
    assert "canary" not in output


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_diff_interval_holds_the_gain(right):
    """Of any two models on any number of texts; it is never empty, and never beyond a gain of all texts."""
    answers = [["yes" if each[model] else "no" for each in right] for model in (0, 1)]
    gain = paired_accuracies(answers, ["yes"] * len(right))["gain"]
    assert -1 <= gain["low"] <= gain["value"] <= gain["high"] <= 1
    assert gain["low"] < gain["high"]
