"""Pre-signed requests, whose signature, operation and parameters are in the query string. Only GetCallerIdentity.

The local AWS emulator verifies only the signatures of pre-signed requests. The recipient of such a request relies on
the headers that the signature covers. The local AWS emulator does not model the expiry of pre-signed requests.
"""

import hashlib
import hmac
from typing import Any, Final
from urllib.parse import parse_qs, parse_qsl, quote

from localaws.call import AwsError, not_modelled_error

_OPERATION: Final = "GetCallerIdentity"
_SIGNATURE: Final = "X-Amz-Signature"


def get_presigned_credential(environ: dict[str, Any]) -> str:
    """Return the credential scope of a pre-signed request to STS, or an empty string for any other request."""
    scope = parse_qs(environ.get("QUERY_STRING", "")).get("X-Amz-Credential", [""])[0]
    return f"Credential={scope}" if scope.endswith("/sts/aws4_request") else ""


def is_presigned(environ: dict[str, Any]) -> bool:
    """Return whether a request is a pre-signed request to STS."""
    return "HTTP_AUTHORIZATION" not in environ and bool(get_presigned_credential(environ))


def accepts_json(environ: dict[str, Any]) -> bool:
    """Return whether STS responds with JSON instead of XML (aws-iam-authenticator, `pkg/token/token.go`)."""
    return is_presigned(environ) and environ.get("HTTP_ACCEPT") == "application/json"


def verify_presigned(environ: dict[str, Any], secret: str) -> bytes:
    """Verify the signature, and return the body of the equivalent unsigned request.

    The signature is computed as the IAM user guide describes ("Create a signed AWS API request").

    Raises:
        AwsError: `SignatureDoesNotMatch`, with the message quoted in aws/aws-sdk-java#2413.
    """
    given = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
    if given.get("Action") != _OPERATION:
        raise not_modelled_error("pre-signed requests for an operation other than GetCallerIdentity")
    if not hmac.compare_digest(_sign(environ, given, secret), given.get(_SIGNATURE, "")):
        raise AwsError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
            403,
        )
    return f"Action={_OPERATION}&Version={given.get('Version', '')}".encode()


def _sign(environ: dict[str, Any], given: dict[str, str], secret: str) -> str:
    pairs = sorted((quote(name, safe=""), quote(value, safe="")) for name, value in given.items() if name != _SIGNATURE)
    names = given.get("X-Amz-SignedHeaders", "").split(";")
    headers = "".join(f"{name}:{environ.get('HTTP_' + name.upper().replace('-', '_'), '')}\n" for name in names)
    canonical = "\n".join(
        (
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            "&".join(f"{name}={value}" for name, value in pairs),
            headers,
            ";".join(names),
            hashlib.sha256(b"").hexdigest(),
        )
    )
    scope = given["X-Amz-Credential"].split("/")[1:]
    text = "\n".join(
        (
            given.get("X-Amz-Algorithm", ""),
            given.get("X-Amz-Date", ""),
            "/".join(scope),
            hashlib.sha256(canonical.encode()).hexdigest(),
        )
    )
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()
