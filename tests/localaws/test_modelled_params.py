"""The local AWS emulator rejects every parameter that it does not model, instead of ignoring the parameter.

botocore's models list all parameters. The decorator `models(…)` of a handler, and `S3_PARAMS`, declare which parameters
are modelled.
"""

import ast
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from moto.core.utils import get_service_model

import localaws
from byok.domain.iam.evaluator import CallingPrincipal
from localaws.app import HANDLERS
from localaws.call import AwsError, Call, Operation
from localaws.protocol import parse_params
from localaws.s3.operations import S3_OPERATIONS, S3_PARAMS, parse_s3_operation
from tests.localaws.server import AwsHarness
from tests.localaws.test_s3_recorded import catch_error_with_status

CALLER: Final = CallingPrincipal("arn:aws:iam::444455556666:user/KeyAdministrator", "444455556666")
# Parameters that have no effect in AWS either, each with the reason.
WITHOUT_EFFECT: Final = {
    "delete_db_instance": {"SkipFinalSnapshot"},  # An instance in a cluster has no storage to snapshot.
    "describe_global_clusters": {"Filters"},  # There are no global clusters to filter.
}


def list_params(service: str, operation: str) -> Mapping[str, Any]:
    """Return the parameters of an operation in botocore's model."""
    shape = get_service_model(service).operation_model(operation).input_shape
    return shape.members if shape else {}


@pytest.mark.parametrize("service", HANDLERS)
def test_declared_params_exist(service: str) -> None:
    unknown = {name: one.params - set(list_params(service, name)) for name, one in HANDLERS[service].items()}

    assert {name: params for name, params in unknown.items() if params} == {}


@pytest.mark.parametrize("service", HANDLERS)
def test_every_other_param_is_refused_by_name(service: str) -> None:
    for name, operation in HANDLERS[service].items():
        for param in set(list_params(service, name)) - operation.params:
            call = Call(service, name, {param: "given"}, CALLER, "eu-central-1", "id", {})
            with pytest.raises(AwsError) as caught:
                operation(call)
            assert (
                str(caught.value)
                == f"NotImplemented: The local AWS emulator does not model {param} of {service}:{name}."
            )


def list_modelled_handlers() -> Iterator[tuple[str, Operation]]:
    """Yield the name and the operation of every handler that declares its parameters."""
    for module in pkgutil.walk_packages(localaws.__path__, "localaws."):
        if not module.name.endswith("__main__"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, Operation):
                    yield name, value


@cache
def index_definitions() -> dict[str, list[ast.AST]]:
    """Return the functions and constants in the code of the local AWS emulator, by name."""
    found: dict[str, list[ast.AST]] = {}
    for file in Path(localaws.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                node.decorator_list = []
                found.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
                found.setdefault(node.target.id, []).append(node.value)
    return found


def collect_texts(name: str) -> set[str]:
    """Return every string literal in a function, and in the functions and constants that the function uses.

    Functions and constants that are used indirectly are included.
    """
    texts: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        for definition in index_definitions().get(waiting.pop(), []):
            for node in ast.walk(definition):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.add(node.value)
                used = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
                if used and used not in seen and used != "HANDLERS":
                    seen.add(used)
                    waiting.append(used)
    return texts


def test_every_declared_param_is_read() -> None:
    handlers = dict(list_modelled_handlers())
    assert len(handlers) > 60

    unread = {
        name: operation.params - collect_texts(name) - WITHOUT_EFFECT.get(name, set())
        for name, operation in handlers.items()
    }

    assert {name: params for name, params in unread.items() if params} == {}


def build_s3_request(operation: str) -> dict[str, Any]:
    """Return the WSGI environment of a request for an S3 operation without parameters."""
    if operation == "CopyObject":
        return {"REQUEST_METHOD": "PUT", "PATH_INFO": "/b/k", "HTTP_X_AMZ_COPY_SOURCE": "/b/source"}
    method, kind, query = next(place for place, name in S3_OPERATIONS.items() if name == operation)
    path = {"service": "/", "bucket": "/b", "object": "/b/k"}[kind]
    return {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}


def add_s3_param(request: dict[str, Any], member: Any) -> dict[str, Any] | None:
    """Return the request with the parameter added, or None if the parameter belongs in the path or the body."""
    place, name = member.serialization.get("location"), member.serialization.get("name", "")
    if place == "querystring":
        return request | {"QUERY_STRING": f"{request.get('QUERY_STRING', '')}&{name}=given"}
    if place in {"header", "headers"} and name not in {"Content-Length", "Content-Type"}:
        header = name + "colour" * (place == "headers")
        return request | {"HTTP_" + header.upper().replace("-", "_"): "given"}
    return None


@pytest.mark.parametrize("operation", S3_PARAMS)
def test_every_param_of_s3_is_modelled_or_refused_by_name(operation: str) -> None:
    for name, member in list_params("s3", operation).items():
        request = add_s3_param(build_s3_request(operation), member)
        if request is None:
            continue
        if name in S3_PARAMS[operation]:
            assert parse_s3_operation(request) == operation
        else:
            with pytest.raises(AwsError, match=rf"does not model {name} of s3:{operation}\."):
                parse_s3_operation(request)


@pytest.mark.parametrize(
    "more", [{"HTTP_X_AMZ_INVENTED": "1"}, {"QUERY_STRING": "invented=1"}], ids=["header", "query"]
)
def test_unknown_part_of_an_s3_request_is_refused_by_name(more: dict[str, str]) -> None:
    with pytest.raises(AwsError, match=r"does not model (x-amz-)?invented of s3:GetObject\."):
        parse_s3_operation(build_s3_request("GetObject") | more)


def test_param_newer_than_the_model_stays_in_the_input() -> None:
    """The client's botocore model may be newer than the server's."""
    json_body, query_body = b'{"KeyId": "k", "Invented": [1]}', b"Action=StopDBCluster&Version=1&Invented.member.1=x"

    assert "Invented" in parse_params("kms", "DescribeKey", {}, json_body)
    assert set(parse_params("rds", "StopDBCluster", {}, query_body)) == {"Invented"}


def test_refusal_reaches_the_client(aws: AwsHarness) -> None:
    key, kms = aws.create_key(), aws.customer_client("kms")
    role = aws.create_customer_role()
    refused: dict[str, tuple[Any, dict[str, Any]]] = {
        "GrantTokens of kms:DescribeKey": (kms.describe_key, {"KeyId": key, "GrantTokens": ["token"]}),
        "Policy of sts:AssumeRole": (
            aws.platform_client("sts").assume_role,
            {"RoleArn": role, "RoleSessionName": "session", "Policy": "{}"},
        ),
        "IncludeShared of rds:DescribeDBClusters": (
            aws.platform_client("rds").describe_db_clusters,
            {"IncludeShared": True},
        ),
        "RoleARN of cloudformation:DeleteStack": (
            aws.customer_client("cloudformation").delete_stack,
            {"StackName": "stack", "RoleARN": "arn:aws:iam::444455556666:role/Deployer"},
        ),
        "ACL of s3:CreateBucket": (
            aws.customer_client("s3").create_bucket,
            {"Bucket": "bucket", "ACL": "public-read"},
        ),
    }

    for what, (call, params) in refused.items():
        assert catch_error_with_status(call, **params) == (
            "NotImplemented",
            501,
            f"The local AWS emulator does not model {what}.",
        )


def test_copy_of_a_part_is_refused(aws: AwsHarness) -> None:
    with pytest.raises(ClientError, match="does not model this S3 call: PUT of a object with partNumber, uploadId"):
        aws.customer_client("s3").upload_part_copy(
            Bucket="bucket", Key="copy", CopySource="bucket/key", PartNumber=1, UploadId="id"
        )
