#!/usr/bin/env bash
# Finding: openapi-core rejects every valid request that uses an optional list in the query of a FastAPI application,
# and drops all values but the first if the parameter may be either a list or a single value.
#
# Versions: openapi-core 0.23.1, fastapi 0.165.0, pydantic 2.14.4, werkzeug 3.1.9. Observed on 2026-11-30, Python 3.11,
# Linux x86_64.
# Input: FastAPI's own OpenAPI 3.1 document, and the request ?tag=a&tag=b, which FastAPI answers with ["a", "b"].
#   parameter in Python           schema in the document                     openapi-core
#   tag: list[str]                type: array                                ["a", "b"]
#   tag: list[str] | None = None  anyOf: [{type: array}, {type: "null"}]     InvalidParameter; for ?tag=a as well
#   tag: list[str] | str          anyOf: [{type: array}, {type: string}]     "a", and no error
#
# Expected: ["a", "b"] three times. The OpenAPI specification 3.1 says that a query parameter has the style form and is
# exploded by default, so the request repeats the name for each value of an array; anyOf allows the array.
# openapi-core looks for the word array only in the type of the parameter's schema, and otherwise takes the first value.
# Issue 1180 of openapi-core describes an error for a type that is a list, such as [array, "null"]. We found no issue
# about anyOf.
#
# Affected: services and contract tests that validate requests with openapi-core against a document from FastAPI or
# Pydantic. Correct clients get an error, or a filter for two values silently filters by one.
# Exits with 0 while openapi-core behaves this way, and with 1 once it changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --no-compile --disable-pip-version-check openapi-core==0.23.1 fastapi==0.165.0 \
  pydantic==2.14.4 werkzeug==3.1.9 httpx==0.28.1 2> /dev/null

cat > lists.py << 'PYTHON'
from typing import Annotated

from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from openapi_core import OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

app = FastAPI()


@app.get("/required")
def required(tag: Annotated[list[str], Query()]) -> list[str]:
    return tag


@app.get("/optional")
def optional(tag: Annotated[list[str] | None, Query()] = None) -> list[str] | None:
    return tag


@app.get("/list-or-value")
def list_or_value(tag: Annotated[list[str] | str, Query()]) -> list[str] | str:
    return tag


# the request, FastAPI's response, what openapi-core reads, and the names of its errors
CASES = [
    ("/required?tag=a&tag=b", ["a", "b"], ["a", "b"], []),
    ("/optional?tag=a&tag=b", ["a", "b"], None, ["InvalidParameter"]),
    ("/optional?tag=a", ["a"], None, ["InvalidParameter"]),
    ("/list-or-value?tag=a&tag=b", ["a", "b"], "a", []),
]
client = TestClient(app)
document = OpenAPI.from_dict(app.openapi())
as_described = True
for case in CASES:
    url = case[0]
    path, _, query = url.partition("?")
    environ = EnvironBuilder(path=path, base_url="http://localhost", query_string=query).get_environ()
    read = document.unmarshal_request(WerkzeugOpenAPIRequest(Request(environ)))
    errors = [type(error).__name__ for error in read.errors]
    answer, value = client.get(url).json(), read.parameters.query.get("tag")
    print(f"{url:27} FastAPI: {answer!s:11} openapi-core: {value}", *(error.__cause__ for error in read.errors))
    as_described &= (url, answer, value, errors) == case
raise SystemExit(0 if as_described else 1)
PYTHON
tools/bin/python -W ignore lists.py
