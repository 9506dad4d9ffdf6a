"""Decodes the requests to each service, and encodes results and errors, in the service's protocol.

moto's parsers and serialisers do the work, based on botocore's models: JSON 1.1 for KMS; query and XML for RDS, STS,
IAM and CloudFormation. For S3, this module reads only the values that the rules need, and moto parses the whole call.
"""

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import SerializationContext, get_serializer_class
from moto.core.utils import get_service_model
from werkzeug.datastructures import Headers, MultiDict

from localaws.call import AwsError, Call, HttpResponse
from localaws.presigned import accepts_json, get_presigned_credential
from localaws.s3.operations import parse_s3_operation, parse_s3_path

SERVICES: Final = ("s3", "kms", "rds", "sts", "iam", "cloudformation")

_SCOPE: Final = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")
_PROTOCOL: Final = {"kms": "json", "rds": "query", "sts": "query", "iam": "query", "cloudformation": "query"}

_S3_HEADERS: Final = {
    "ServerSideEncryption": "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION",
    "SSEKMSKeyId": "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID",
    "BucketKeyEnabled": "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_BUCKET_KEY_ENABLED",
    "SSECustomerAlgorithm": "HTTP_X_AMZ_SERVER_SIDE_ENCRYPTION_CUSTOMER_ALGORITHM",
    "CopySource": "HTTP_X_AMZ_COPY_SOURCE",
    "ExpectedBucketOwner": "HTTP_X_AMZ_EXPECTED_BUCKET_OWNER",
}


@dataclass(frozen=True)
class CredentialScope:
    """The scope in a signature: access key, Region and service."""

    access_key: str
    region: str
    service: str


def parse_credential_scope(environ: dict[str, Any]) -> CredentialScope | None:
    """Return the scope of a signed request, or None if the request has no Signature Version 4 signature."""
    match = _SCOPE.search(environ.get("HTTP_AUTHORIZATION") or get_presigned_credential(environ))
    return CredentialScope(match["key"], match["region"], match["service"]) if match else None


def new_request_id(service: str) -> str:
    """Generate a request id in the service's format."""
    return uuid.uuid4().hex[:16].upper() if service == "s3" else str(uuid.uuid4())


def parse_operation(service: str, environ: dict[str, Any], body: bytes) -> str:
    """Return the API operation of a request.

    Raises:
        AwsError: `NotImplemented` for an S3 operation that is not modelled.
    """
    if service == "s3":
        return parse_s3_operation(environ)
    if service == "kms":
        return str(environ.get("HTTP_X_AMZ_TARGET", "")).rpartition(".")[2] or "Unknown"
    return parse_qs(body.decode(errors="replace")).get("Action", ["Unknown"])[0]


def parse_params(service: str, operation: str, environ: dict[str, Any], body: bytes) -> dict[str, Any]:
    """Return the input of a call as the API defines it.

    A parameter that botocore's model does not define stays in the input, so that the operation rejects the parameter by
    name.

    Raises:
        AwsError: The body does not match the operation.
    """
    if service == "s3":
        bucket, key = parse_s3_path(environ)
        params = {name: environ[header] for name, header in _S3_HEADERS.items() if header in environ}
        query = parse_qs(environ.get("QUERY_STRING", ""))
        version, upload = (query.get(name, [None])[0] for name in ("versionId", "uploadId"))
        return {**params, "Bucket": bucket, "Key": key, "VersionId": version, "UploadId": upload}
    model = get_service_model(service).operation_model(operation)
    parser = PROTOCOL_PARSERS[_PROTOCOL[service]](model)
    values: MultiDict[str, str] = MultiDict(
        [(name, item) for name, items in parse_qs(body.decode(), keep_blank_values=True).items() for item in items]
        if _PROTOCOL[service] == "query"
        else []
    )
    request = {
        "body": body or b"{}",
        "headers": Headers(),
        "method": "POST",
        "url_params": {},
        "url_path": "/",
        "values": values,
    }
    try:
        parsed: dict[str, Any] = parser.parse(request)
    except Exception as error:
        raise AwsError("ValidationException" if service == "kms" else "MalformedInput", str(error)) from error
    given = json.loads(body or b"{}") if service == "kms" else {name.partition(".")[0]: True for name in values}
    known = model.input_shape.members if model.input_shape else {}
    return dict(parsed) | {name: value for name, value in given.items() if name not in {*known, "Action", "Version"}}


def serialize_result(call: Call, result: dict[str, Any]) -> HttpResponse:
    """Render a result in the service's format."""
    if accepts_json(call.environ):
        metadata = {"RequestId": call.request_id}
        wrapped = {f"{call.operation}Response": {f"{call.operation}Result": result, "ResponseMetadata": metadata}}
        return _json_response(200, wrapped, call.request_id)
    model = get_service_model(call.service).operation_model(call.operation)
    serializer = get_serializer_class(call.service, _PROTOCOL[call.service])
    written = serializer(operation_model=model, context=SerializationContext(request_id=call.request_id)).serialize(
        result
    )
    body = written["body"]
    headers = [(name, str(value)) for name, value in written["headers"].items()]
    return HttpResponse(
        written["status_code"],
        [*headers, ("x-amzn-RequestId", call.request_id)],
        body.encode() if isinstance(body, str) else body,
    )


def serialize_error(
    service: str, error: AwsError, request_id: str, *, head: bool = False, as_json: bool = False
) -> HttpResponse:
    """Render an error in the service's format. The response to HEAD has no body, and therefore no error code."""
    if service == "s3":
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(error.code)}</Code>'
            f"<Message>{escape(error.message)}</Message><RequestId>{request_id}</RequestId></Error>"
        )
        headers = [("Content-Type", "application/xml"), ("x-amz-request-id", request_id)]
        return HttpResponse(error.status, headers, b"" if head else text.encode())
    if _PROTOCOL.get(service) == "json":
        body = {"__type": error.code, "message": error.message}
        headers = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", request_id)]
        return HttpResponse(error.status, headers, json.dumps(body).encode())
    kind = "Sender" if error.status < 500 else "Receiver"  # noqa: PLR2004 - HTTP's client and server errors
    if as_json:
        told = {"Code": error.code, "Message": error.message, "Type": kind}
        return _json_response(error.status, {"Error": told, "RequestId": request_id}, request_id)
    text = (
        f'<?xml version="1.0"?>\n<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(error.code)}</Code>'
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return HttpResponse(error.status, [("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id)], text.encode())


def _json_response(status: int, content: dict[str, Any], request_id: str) -> HttpResponse:
    headers = [("Content-Type", "application/json"), ("x-amzn-RequestId", request_id)]
    return HttpResponse(status, headers, json.dumps(content).encode())
