"""Write the generated parts of docs/**/*.md: everything between `<!-- begin NAME -->` and `<!-- end -->`.

    python docs/generate.py          (make docs; functions, layers/serving and the root are on the path)

Each part comes from what the code runs on: the OpenAPI document, the tables of errors and limits, the click commands
and the template. tests/test_docs.py fails if a page is not up to date.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from api import problems, schemas
from candor import errors, limits
from candor.batch import rows
from candor.cli.gateway import template
from candor.cli.main import cli
from candor.redact import TYPES
from candor.resources import ROOT

DOCS = Path(__file__).parent
BLOCK = re.compile(r"(<!-- begin ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
OPENAPI: dict[str, Any] = json.loads((ROOT / "functions/api/openapi.json").read_text())
TEMPLATE = template()
WIDTH = 100  # of help texts
# Meanings of fields that say nothing of their own in the OpenAPI document, by the end of their path.
MEANINGS = {
    "warnings": "Why the label should not be relied on. Empty if nothing speaks against it.",
    "warnings[].code": "One of the warnings below.",
    "warnings[].detail": "The same as a sentence.",
    "model": "The model that answered: its name, version and sha256.",
    "name": "Name of the model.",
    "version": "Version of the model: a day and a number, or what its owner gave.",
    "request_id": "Id of the request, also in the header `X-Request-Id`.",
    "explanation.label": "The label that the values speak for.",
    "method": "How the values were computed.",
    "begin": "Offset of the first character.",
    "end": "Offset after the last character.",
    "value": "What the token adds to the logit.",
    "pii[].type": "Type of personal data, such as `EMAIL`.",
    "results": "One for each document that was classified.",
    "errors": "One for each document that was not.",
    "text": "The text with its personal data masked.",
    "created": "When the model was trained.",
    "labels": "The labels that the model knows.",
    "samples[]": "One of them.",
    "metrics": "How good the model is on its test split.",
    "data": "What the model learnt from: name, source, citation, licence, digest.",
    "description": "What the model does, or `not stated`; likewise the next three.",
    "intended_use": "What the model is meant for.",
    "owner": "Whose model it is.",
    "licence": "Terms on which others may use the model.",
    "fairness.groups": "The groups.",
    "limits": "The limits below.",
    "text_bytes": "Bytes of UTF-8 in a text.",
    "limits.documents": "Documents in a batch.",
    "limits.answer_bytes": "Bytes in the results of a batch.",
    "body_bytes": "Bytes in a body.",
    "Problem.type": "Always `about:blank`.",
    "title": "The code as a sentence.",
    "Problem.status": "The HTTP status.",
    "Health.status": "Always `ok`.",
    "code": "Which error, for machines.",
    "detail": "What was wrong, and what to do.",
    "limit": "The limit that was exceeded.",
    "actual": "The size that was sent.",
}


def main() -> None:
    """Write every page whose generated parts have changed."""
    for page in sorted(DOCS.rglob("*.md")):
        old = page.read_text()
        if (new := rendered(old)) != old:
            page.write_text(new)
            print(page)


def rendered(page: str) -> str:
    """Return a page with its generated parts written again."""
    return BLOCK.sub(lambda block: f"{block[1]}{PARTS[block[2]]()}\n{block[3]}", page)


def table(header: str, lines: Iterable[Iterable[Any]]) -> str:
    r"""Return a Markdown table.

    >>> print(table("a | b", [[1, "x|y"]]))
    | a | b |
    |---|---|
    | 1 | x\|y |
    """
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    rule = "|".join("---" for _ in header.split("|"))
    return "\n".join([f"| {header} |", f"|{rule}|", *(f"| {' | '.join(line)} |" for line in cells)])


# HTTP API


def routes() -> str:
    """Return a table of the API's routes."""
    return table(
        "route | answer | key",
        [
            [f"`{method.upper()} {path}`", operation["summary"], "yes" if operation.get("security") else "no"]
            for path, methods in OPENAPI["paths"].items()
            for method, operation in methods.items()
            if method != "head"
        ],
    )


def request(path: str) -> Callable[[], str]:
    """Return a part: the fields of a request's body."""
    return lambda: fields(OPENAPI["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"])


def fields(schema: Mapping[str, Any]) -> str:
    """Return a table of the fields that a caller may send."""
    return table(
        "field | type | default | limit | meaning",
        [
            [
                f"`{name}`",
                " or ".join(kind for kind in kinds(its) if kind != "null"),
                "required" if name in schema["required"] else code(its["default"]) if "default" in its else "",
                limit(its),
                its.get("description", ""),
            ]
            for name, its in schema["properties"].items()
        ],
    )


def kinds(schema: Mapping[str, Any]) -> list[str]:
    """Return the types that a JSON Schema allows; none if it allows any."""
    named = schema.get("type", [])
    return named if isinstance(named, list) else [named]


def limit(schema: Mapping[str, Any]) -> str:
    """Return what a JSON Schema says of the values that it allows, in a few words."""
    if "enum" in schema:
        return ", ".join(code(value) for value in schema["enum"] if value is not None)
    units = {"maxLength": "characters", "maxItems": "items"}
    found = [f"at most {schema[name]:,} {unit}" for name, unit in units.items() if name in schema]
    return f"{schema['minimum']} to {schema['maximum']}" if "maximum" in schema else ", ".join(found)


def response(name: str, known: str = "$^") -> Callable[[], str]:
    """Return a part: the fields of an answer, one of the document's components, but those that match `known`."""
    return lambda: table(
        "field | type | meaning",
        [
            [f"`{path}`", its.get("type", "string"), its.get("description") or meaning(f"{name}.{path}")]
            for path, its in flat(OPENAPI["components"]["schemas"][name])
            if not re.match(known, path)
        ],
    )


def meaning(path: str) -> str:
    """Return the meaning of a field, by the longest end of its path that has one."""
    names = path.split(".")
    return next(MEANINGS[end] for start in range(len(names)) if (end := ".".join(names[start:])) in MEANINGS)


def flat(schema: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield the path and the schema of each field, nested ones after their parent."""
    for name, value in schema.get("properties", {}).items():
        its = value
        if "$ref" in its:
            its = OPENAPI["components"]["schemas"][its["$ref"].rsplit("/", 1)[-1]]
        if "oneOf" in its:
            inner = its["oneOf"][0]
            its = {**inner, **its, "type": " or ".join(each["type"] for each in its["oneOf"])}
        yield prefix + name, its
        yield from flat(its, f"{prefix}{name}.")
        yield from flat(its.get("items", {}), f"{prefix}{name}[].")


def statuses() -> str:
    """Return a table of the API's error codes by status."""
    return table(
        "status | code | meaning",
        [
            [int(status), f"`{name}`", title]
            for name, (status, title) in sorted(problems.CODES.items(), key=lambda item: item[1][0])
        ],
    )


def sizes() -> str:
    """Return a table of the API's limits."""
    return table(
        "what | at most",
        [
            ["text", f"{limits.MAX_TEXT_BYTES:,} bytes of UTF-8"],
            ["documents a request", limits.MAX_DOCUMENTS],
            ["documents a request with `explain`", limits.MAX_EXPLAINED],
            ["body", f"{limits.MAX_BODY_BYTES:,} bytes"],
            ["results of a request", f"{limits.MAX_ANSWER_BYTES:,} bytes of JSON, quotes escaped"],
            ["id of a document", f"{limits.MAX_ID_LENGTH} characters"],
        ],
    )


# Errors


def codes(meanings: Mapping[str, str]) -> Callable[[], str]:
    """Return a part: a table of codes and what they mean."""
    return lambda: table("code | meaning", [[f"`{name}`", meaning] for name, meaning in meanings.items()])


def exceptions() -> str:
    """Return the tree of exceptions, as the module draws it."""
    tree = re.search(r"^CandorError\n(?:[│├└ ].*\n)+", errors.__doc__ or "", re.MULTILINE)
    assert tree, "candor.errors draws its tree"
    return f"```\n{tree[0]}```"


# Commands


def commands() -> str:
    """Return the help of the command and of each subcommand."""
    parent = click.Context(cli, info_name="candor", max_content_width=WIDTH, terminal_width=WIDTH)
    parts = [helped(parent)]
    for name in cli.list_commands(parent):
        command = cli.get_command(parent, name)
        assert command, name
        parts.append(f"## candor {name}\n\n{helped(click.Context(command, parent, name))}")
    return "\n\n".join(parts)


def helped(context: click.Context) -> str:
    """Return a command's help, as it prints it."""
    return f"```text\n{click.unstyle(context.get_help()).rstrip()}\n```"


# Configuration


def parameters() -> str:
    """Return a table of the stack's parameters."""
    return table(
        "parameter | default | allowed | meaning",
        [
            [f"`{name}`", code(its["Default"]) if its["Default"] != "" else "none", allowed(its), its["Description"]]
            for name, its in TEMPLATE["Parameters"].items()
        ],
    )


def allowed(parameter: Mapping[str, Any]) -> str:
    """Return the values that a stack parameter allows, in a few words."""
    if "AllowedValues" in parameter:
        return ", ".join(code(value) for value in parameter["AllowedValues"] if value != "")
    if "MaxValue" in parameter:
        return f"{parameter['MinValue']:,} to {parameter['MaxValue']:,}"
    if "MinValue" in parameter:
        return f"{parameter['MinValue']:,} or more"
    return str(parameter.get("ConstraintDescription", ""))


def outputs() -> str:
    """Return a table of the stack's outputs."""
    return table("output | meaning", [[f"`{name}`", its["Description"]] for name, its in TEMPLATE["Outputs"].items()])


def code(value: Any) -> str:
    """Return a value as Markdown code, as JSON writes it but for strings."""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


PARTS: dict[str, Callable[[], str]] = {
    "routes": routes,
    "predict-request": request("/v1/predict"),
    "batch-request": request("/v1/predict/batch"),
    "document": lambda: fields(schemas.schema(schemas.DOCUMENT)),
    "redact-request": request("/v1/redact"),
    "result": response("Result"),
    "results": response("Results", known=r"model\.|results\[\]\.(?!index|id)"),
    "redaction": response("Redaction"),
    "model": response("Model"),
    "fairness": response("Fairness"),
    "health": response("Health", known=r"model\."),
    "problem": response("Problem"),
    "limits": sizes,
    "statuses": statuses,
    "row-errors": codes(rows.ERRORS),
    "file-errors": codes(rows.FAULTS),
    "exceptions": exceptions,
    "commands": commands,
    "parameters": parameters,
    "outputs": outputs,
    "types": lambda: ", ".join(f"`{name}`" for name in TYPES) + ".",
}

if __name__ == "__main__":
    main()
