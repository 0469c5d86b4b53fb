import json

import pytest

from candor.errors import BundleError, InterpreterError
from candor.model import bundle
from candor.model.bundle import Bundle
from candor.model.classifier import Classifier
from tests import bundles

MODEL = {name: kind() for name, kind in bundle.REQUIRED.items()} | {"labels": ["no", "yes"]}
FILES = {"model.json": bundle.canonical(MODEL), "model.tflite": b"\0" * 100, "card.md": "café".encode()}


@pytest.fixture
def written(tmp_path):
    """A bundle's folder and its digest."""
    return tmp_path, bundle.write(tmp_path, FILES)


def test_bundle_open_returns_written_files(written):
    """Open returns the files that write stored."""
    path, digest = written
    opened = Bundle.open(path, digest)
    assert opened.digest == digest
    assert opened.labels == ("no", "yes")
    assert {name: opened.read(name) for name in FILES} == FILES


def test_bundle_noun_and_samples_have_defaults(tmp_path):
    """A bundle of before there were a noun and samples still loads, and is shown neutrally."""
    bundle.write(tmp_path, FILES)
    old = Bundle.open(tmp_path)
    assert (old.text_noun, old.samples, old.example) == ("text", (), bundle.NEUTRAL_TEXT)
    own = MODEL | {"text_noun": "ticket", "samples": ["Where is it?", "Thanks."]}
    bundle.write(tmp_path, FILES | {"model.json": bundle.canonical(own)})
    new = Bundle.open(tmp_path)
    assert (new.text_noun, new.samples, new.example) == ("ticket", ("Where is it?", "Thanks."), "Where is it?")


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_bundle_changed_byte_is_refused(written, name):
    """One changed byte anywhere is refused, and its file is named."""
    path, digest = written
    original = (path / name).read_bytes()
    (path / name).write_bytes(bytes([original[0] ^ 1]) + original[1:])
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Bundle.open(path, digest)
    (path / name).write_bytes(original)
    assert Bundle.open(path, digest).digest == digest


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_bundle_missing_file_is_refused(written, name):
    """A missing file is refused and named."""
    path, digest = written
    original = (path / name).read_bytes()
    (path / name).unlink()
    with pytest.raises(BundleError, match=f"^{name} cannot be read"):
        Bundle.open(path, digest)
    (path / name).write_bytes(original)
    assert Bundle.open(path, digest).digest == digest


def test_bundle_other_digest_is_refused(written):
    """Another valid bundle is refused if a digest is pinned."""
    path, _ = written
    assert Bundle.open(path).labels == ("no", "yes")
    with pytest.raises(BundleError, match="was deployed"):
        Bundle.open(path, "0" * 64)


def test_bundle_manifest_path_outside_is_refused(written):
    """A manifest that lists a path outside the bundle is refused."""
    path, _ = written
    (path.parent / "secret").write_text("secret")
    manifest = json.loads((path / "manifest.json").read_bytes())
    manifest["files"]["../secret"] = bundle.describe(b"secret")
    (path / "manifest.json").write_bytes(bundle.canonical(manifest))
    with pytest.raises(BundleError, match="outside the bundle"):
        Bundle.open(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"files": '])
def test_bundle_manifest_not_an_object_is_refused(written, content):
    """A manifest that is not a JSON object is refused."""
    path, _ = written
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.open(path)


@pytest.mark.parametrize("name", bundle.REQUIRED)
def test_bundle_model_json_lacking_key_is_refused(tmp_path, name):
    """A model.json without a required key is refused, and the key is named."""
    lacking = {key: value for key, value in MODEL.items() if key != name}
    bundle.write(tmp_path, FILES | {"model.json": bundle.canonical(lacking)})
    with pytest.raises(BundleError, match=name):
        Bundle.open(tmp_path)


@pytest.fixture(scope="module")
def files():
    """The files of a bundle that can be served."""
    return bundles.files()


def changed(**changes):
    return lambda content: bundle.canonical(json.loads(content) | changes)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("model.json", changed(featuriser={"bits": 3}), r"^model\.json lacks what the classifier needs: 'version'$"),
        ("model.json", changed(featuriser={"kinds": ["no"], "version": 3}), "unknown kinds of features: no$"),
        ("model.json", changed(evidence={}), r"^model\.json lacks what the classifier needs"),
        ("model.json", changed(scripts=None), r"^model\.json lacks what the classifier needs"),
        ("features.bin", lambda content: content[:-1], r"^features\.bin is damaged: not a table of features$"),
        ("model.tflite", lambda content: content[:1000], "refuses the model"),
    ],
)
def test_classifier_load_unusable_bundle_is_refused(files, tmp_path, name, change, message):
    """A valid bundle that this code cannot serve is refused at load, and the message says why."""
    bundle.write(tmp_path, files)
    assert Classifier.load(tmp_path).predict(["good"])
    bundle.write(tmp_path, {**files, name: change(files[name])})
    with pytest.raises((BundleError, InterpreterError), match=message):
        Classifier.load(tmp_path)


def test_classifier_load_old_bundle_says_what_to_do(files, tmp_path):
    """A bundle of an earlier featuriser is refused with one sentence: what is wrong, and the remedy."""
    old = changed(featuriser={"bigram_bits": 20, "unigram_bits": 17, "version": 1})(files["model.json"])
    bundle.write(tmp_path, {"model.json": old, "model.tflite": files["model.tflite"], "known.bin": b"\0"})
    with pytest.raises(BundleError) as raised:
        Classifier.load(tmp_path)
    assert str(raised.value) == (
        "the model has featuriser version 1, but this version of Candor reads version 3 only: "
        "train it again with `candor train`"
    )


def test_bundle_digest_ignores_order_of_files(tmp_path):
    """The digest depends on names and content, not on the order of files."""
    digests = []
    for name, files in (("one", FILES), ("other", dict(reversed(FILES.items())))):
        (tmp_path / name).mkdir()
        digests.append(bundle.write(tmp_path / name, files))
    assert digests[0] == digests[1]
    (tmp_path / "third").mkdir()
    assert bundle.write(tmp_path / "third", FILES | {"card.md": b"cafe"}) != digests[0]
