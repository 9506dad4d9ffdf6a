"""An OIDC issuer on this machine, which signs valid and invalid tokens for tests."""

import json
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from byok.api.oidc import OidcAuth

ISSUER = "https://login.example.com"
AUDIENCE = "byok"
ALL = "environments:read environments:write environments:delete"


@cache
def generate_private_key(whose: str) -> rsa.RSAPrivateKey:
    """Generate a private key, or return the cached key.

    `whose` is the name of the key's owner, and each owner has one key.
    """
    return rsa.generate_private_key(65537, 2048)


@dataclass
class OidcIssuer:
    """An OIDC issuer with its own HTTP server.

    Attributes:
        asked: How many times clients have requested the issuer's keys.
        reachable: Whether the server responds with status 200 instead of 500.
        instead: The list of keys, or the whole response body, to send in place of the issuer's key.
        metadata: Changes to the metadata.
        answers: The responses of the token endpoint, one for each code.
        exchanged: The requests to the token endpoint, each with its `Authorization` header.
    """

    key: rsa.RSAPrivateKey = field(default_factory=lambda: generate_private_key("the issuer's"))
    name: str = "key-1"
    asked: int = 0
    reachable: bool = True
    instead: object = None
    metadata: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    exchanged: list[dict[str, str]] = field(default_factory=list)
    server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/.well-known/openid-configuration":
                    self.send(200, json.dumps(issuer.build_metadata()))
                    return
                issuer.asked += 1
                found = [issuer.public_jwk] if issuer.instead is None else issuer.instead
                self.send(200, found if isinstance(found, str) else json.dumps({"keys": found}))

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                request = {name: value for name, (value,) in form.items()}
                issuer.exchanged.append({**request, "authorization": self.headers.get("Authorization", "")})
                answer = issuer.answers.pop(request["code"], {"error": "invalid_grant"})
                self.send(400 if "error" in answer else 200, json.dumps(answer))

            def send(self, status: int, text: str) -> None:
                body = text.encode()
                self.send_response(status if issuer.reachable else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        # The server checks once per poll interval whether to stop, and the default of 0.5 s would slow every test.
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def public_jwk(self) -> dict[str, Any]:
        """The issuer's public key as a JWK."""
        return {**RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True), "kid": self.name, "use": "sig"}

    @property
    def jwks_url(self) -> str:
        """The URL of the issuer's keys."""
        return f"http://127.0.0.1:{self.server.server_port}/jwks"

    @property
    def url(self) -> str:
        """The base URL of the issuer's server, which is also the `issuer` value in the metadata."""
        return f"http://127.0.0.1:{self.server.server_port}"

    def build_metadata(self) -> dict[str, Any]:
        """Build the issuer's metadata (OpenID Connect Discovery 1.0)."""
        endpoints = {"authorization_endpoint": "authorize", "token_endpoint": "token", "end_session_endpoint": "logout"}
        own = {name: f"{self.url}/{path}" for name, path in endpoints.items()}
        return {"issuer": self.url, **own, "authorization_response_iss_parameter_supported": True, **self.metadata}

    def build_auth(self) -> OidcAuth:
        """Build the authenticator that verifies this issuer's tokens."""
        return OidcAuth(ISSUER, AUDIENCE, self.jwks_url, 24 * 3600, "organisation")

    def issue_token(self, organisation: str = "acme", scope: str = ALL, **changes: Any) -> str:
        """Issue a token, which is valid unless `changes` makes it invalid.

        `changes` can override any claim, the key id, the signing key and the algorithm. The value None removes a claim
        or the key id.
        """
        key, algorithm = changes.pop("key", self.key), changes.pop("algorithm", "RS256")
        name = changes.pop("kid", self.name)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "user-1",
            "iat": int(time.time()),
            "exp": int(time.time()) + 300,
            "organisation": organisation,
            "scope": scope,
            **changes,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key, algorithm=algorithm, headers={} if name is None else {"kid": name})

    def close(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()
