"""Pre-signed GetCallerIdentity requests, signed by botocore, and the tokens that contain them."""

import base64

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from localaws.accounts import CUSTOMER_CREDENTIALS
from tests.localaws.server import REGION

ACTION = "Action=GetCallerIdentity&Version=2011-06-15"


def presign_identity_request(
    endpoint: str,
    nonce: str | None,
    credentials: tuple[str, ...] = CUSTOMER_CREDENTIALS,
    query: str = ACTION,
    expires: int = 60,
) -> str:
    """Return the URL of a request whose signature includes the nonce, as `aws eks get-token` signs it."""
    request = AWSRequest("GET", f"{endpoint}/?{query}", headers={} if nonce is None else {"x-k8s-aws-id": nonce})
    SigV4QueryAuth(Credentials(*credentials), "sts", REGION, expires=expires).add_auth(request)
    return str(request.url)


def build_token(url: str) -> str:
    """Return the token that contains a URL."""
    return "k8s-aws-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
