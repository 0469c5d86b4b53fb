import json

import pytest

from candor import bundle
from candor.bundle import Bundle
from candor.classifier import Classifier
from candor.errors import BundleError, InterpreterError
from candor.settings import Settings

MODEL = {name: {} for name in bundle.REQUIRED} | {"labels": ["no", "yes"]}
FILES = {"model.json": bundle.canonical(MODEL), "model.tflite": b"\0" * 100, "card.md": "café".encode()}


@pytest.fixture
def made(tmp_path):
    return tmp_path, bundle.write(tmp_path, FILES)


def test_what_was_written_is_what_is_read(made):
    path, digest = made
    opened = Bundle.open(path, digest)
    assert opened.digest == digest
    assert opened.labels == ("no", "yes")
    assert {name: opened.read(name) for name in FILES} == FILES


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_one_changed_byte_anywhere_is_refused_and_its_file_named(made, name):
    path, digest = made
    whole = (path / name).read_bytes()
    (path / name).write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    with pytest.raises(BundleError, match=name.replace(".", r"\.")):
        Bundle.open(path, digest)
    (path / name).write_bytes(whole)
    assert Bundle.open(path, digest).digest == digest


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_missing_file_is_refused_and_named(made, name):
    path, digest = made
    whole = (path / name).read_bytes()
    (path / name).unlink()
    with pytest.raises(BundleError, match=f"^{name} cannot be read"):
        Bundle.open(path, digest)
    (path / name).write_bytes(whole)
    assert Bundle.open(path, digest).digest == digest


def test_another_bundle_that_is_whole_is_refused_where_a_digest_is_pinned(made):
    path, _ = made
    assert Bundle.open(path).labels == ("no", "yes")
    with pytest.raises(BundleError, match="was deployed"):
        Bundle.open(path, "0" * 64)


def test_a_manifest_that_points_outside_the_bundle_is_refused(made):
    path, _ = made
    (path.parent / "secret").write_text("secret")
    manifest = json.loads((path / "manifest.json").read_bytes())
    manifest["files"]["../secret"] = bundle.describe(b"secret")
    (path / "manifest.json").write_bytes(bundle.canonical(manifest))
    with pytest.raises(BundleError, match="outside the bundle"):
        Bundle.open(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"files": '])
def test_a_manifest_that_is_no_json_object_is_refused(made, content):
    path, _ = made
    (path / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.open(path)


@pytest.mark.parametrize("name", bundle.REQUIRED)
def test_a_model_that_does_not_describe_itself_is_refused(tmp_path, name):
    lacking = {key: value for key, value in MODEL.items() if key != name}
    bundle.write(tmp_path, FILES | {"model.json": bundle.canonical(lacking)})
    with pytest.raises(BundleError, match=name):
        Bundle.open(tmp_path)


SHIPPED = Settings.from_environ().bundle


@pytest.mark.parametrize(
    "changes",
    [
        {"model.json": lambda content: json.dumps(json.loads(content) | {"featuriser": {"bits": 3}}).encode()},
        {"model.json": lambda content: json.dumps(json.loads(content) | {"scripts": None}).encode()},
        {"model.json": lambda content: content.replace(b'"version": 1', b'"version": 2')},
        {"known.bin": lambda content: content[:-1]},
        {"model.tflite": lambda content: content[:1000]},
    ],
)
def test_a_whole_bundle_that_cannot_serve_is_refused_when_it_is_loaded(tmp_path, changes):
    files = {path.name: path.read_bytes() for path in SHIPPED.iterdir() if path.name != "manifest.json"}
    bundle.write(tmp_path, files)
    assert Classifier.load(tmp_path).predict(["good"])
    bundle.write(tmp_path, files | {name: change(files[name]) for name, change in changes.items()})
    with pytest.raises((BundleError, InterpreterError)):
        Classifier.load(tmp_path)


def test_the_digest_does_not_depend_on_the_order_of_files(tmp_path):
    digests = []
    for name, files in (("one", FILES), ("other", dict(reversed(FILES.items())))):
        (tmp_path / name).mkdir()
        digests.append(bundle.write(tmp_path / name, files))
    assert digests[0] == digests[1]
    (tmp_path / "third").mkdir()
    assert bundle.write(tmp_path / "third", FILES | {"card.md": b"cafe"}) != digests[0]
