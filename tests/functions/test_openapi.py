"""The OpenAPI document: up to date, complete, and in agreement with the code."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import candor
from api import app, openapi, schemas
from api.problems import CODES
from candor.cli.gateway import event
from tests.server import Server

DOCUMENT = json.loads((Path(openapi.__file__).parent / "openapi.json").read_text())


def operations():
    for path, methods in DOCUMENT["paths"].items():
        for method, made in methods.items():
            yield path, method, made


def test_openapi_json_is_up_to_date():
    assert openapi.build() == DOCUMENT, "run: make openapi"
    assert DOCUMENT["info"]["version"] == candor.__version__


def test_openapi_json_is_valid_openapi_3_1():
    validate(DOCUMENT)
    with pytest.raises(Exception, match=r"valid"):
        validate(
            {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {"/": {"get": {"responses": 1}}}}
        )


def test_openapi_json_has_every_route():
    assert {(path, method.upper()) for path, method, _ in operations()} == {
        (path, method) for path in app.ROUTES for method in app.methods_of(path)
    }


def test_openapi_json_has_an_example_per_code():
    shown = {}
    for _, _, made in operations():
        for status, response in made["responses"].items():
            for code, example in (
                response.get("content", {}).get("application/problem+json", {}).get("examples", {}).items()
            ):
                assert example["value"]["code"] == code
                shown[code] = int(status)
    elsewhere = {"answer_too_large"}  # a document's of a batch only
    assert shown == {code: int(status) for code, (status, _) in CODES.items() if code not in elsewhere}


def test_openapi_examples_match_their_schemas():
    for _, _, made in operations():
        if "requestBody" in made:
            content = made["requestBody"]["content"]["application/json"]
            jsonschema.validate(content["example"], content["schema"])
        for response in made["responses"].values():
            for content in response.get("content", {}).values():
                shown = [content["example"]] if "example" in content else []
                for example in shown + [each["value"] for each in content.get("examples", {}).values()]:
                    jsonschema.validate(example, {**content["schema"], "components": DOCUMENT["components"]})


def post(path, body):
    headers = [("Content-Type", "application/json")]
    answer = app.handler(event("POST", path, headers, json.dumps(body).encode()), SimpleNamespace(aws_request_id="x"))
    return answer["statusCode"]


words = st.sampled_from(["good", " ", "", "好", "a b", "x" * 101])
values = words | st.integers(-1, 2) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none()
document = st.fixed_dictionaries({}, optional={"text": values, "id": values, "txet": words}) | values
bodies = {
    "/v1/predict": st.fixed_dictionaries({}, optional={"text": values, "min_confidence": values, "txet": words})
    | values,
    "/v1/predict/batch": st.fixed_dictionaries(
        {}, optional={"documents": st.lists(document, max_size=3) | values, "min_confidence": values, "text": words}
    )
    | values,
}


@pytest.mark.parametrize(("path", "fields"), [("/v1/predict", schemas.PREDICT), ("/v1/predict/batch", schemas.BATCH)])
def test_schema_and_code_accept_the_same_bodies(path, fields):
    published = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert published == schemas.schema(fields)
    accepts = jsonschema.Draft202012Validator(published).is_valid

    @given(bodies[path])
    @settings(max_examples=300, deadline=None)
    def same(body):
        assert post(path, body) == (200 if accepts(body) else 422)

    same()
    assert accepts({"text": "good"} if path == "/v1/predict" else {"documents": [{"text": "good"}]})


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        server.greeting()
        yield server
        assert server.end()[0] == 0


CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.mark.parametrize(
    "operation",
    [result.ok() for result in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()],
    ids=lambda operation: operation.label,
)
def test_random_requests_are_answered_as_documented(operation, server):
    @given(case=operation.as_strategy())
    @settings(max_examples=60, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def answered(case):
        response = case.call(base_url=f"http://127.0.0.1:{server.port}")
        assert response.status_code < 500
        case.validate_response(response, checks=CHECKS)

    answered()


def test_openapi_paths_have_no_parameters():
    assert not [path for path, _, _ in operations() if re.search(r"[{}]", path)]
