"""Test which of an issuer's published keys verify a token.

`alg` and `kid` are optional in a JWK (RFC 7517). Algorithm confusion attacks fail.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from byok.api import oidc
from byok.api.authentication import IdentityProviderUnavailableError, UnauthenticatedError
from byok.api.oidc import OidcAuth
from tests.api.oidc_issuer import OidcIssuer, generate_private_key

RSA = generate_private_key("the issuer's")
STRANGERS = generate_private_key("a stranger's")
P256, P384, P521 = (ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()))
ED25519, ED448 = ed25519.Ed25519PrivateKey.generate(), ed448.Ed448PrivateKey.generate()


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    found = OidcIssuer()
    yield found
    found.close()


def build_jwk(private: Any, **members: Any) -> dict[str, Any]:
    """Build the JWK of a public key; `members` adds the optional members, such as `alg` and `kid`."""
    public = private.public_key()
    if isinstance(private, rsa.RSAPrivateKey):
        found = RSAAlgorithm.to_jwk(public, as_dict=True)
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        found = ECAlgorithm.to_jwk(public, as_dict=True)
    else:
        found = OKPAlgorithm.to_jwk(public, as_dict=True)
    required = {name: value for name, value in found.items() if name not in {"alg", "kid", "use", "key_ops"}}
    return {**required, **members}


async def is_accepted(auth: OidcAuth, token: str) -> bool:
    try:
        return (await auth.authenticate(token)).organisation == "acme"
    except UnauthenticatedError:
        return False


@pytest.mark.parametrize(
    ("private", "algorithm"),
    [
        *((RSA, name) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        *((P256, "ES256"), (P384, "ES384"), (P521, "ES512"), (ED25519, "EdDSA"), (ED448, "EdDSA")),
    ],
)
async def test_key_without_alg_verifies_the_algorithms_of_its_type(
    issuer: OidcIssuer, private: Any, algorithm: str
) -> None:
    issuer.instead = [build_jwk(private, kid="key-1")]

    assert await is_accepted(issuer.build_auth(), issuer.issue_token(key=private, algorithm=algorithm))


async def test_key_with_alg_verifies_no_other_algorithm(issuer: OidcIssuer) -> None:
    issuer.instead = [build_jwk(RSA, kid="key-1", alg="PS256")]
    auth = issuer.build_auth()

    assert await is_accepted(auth, issuer.issue_token(algorithm="PS256"))
    assert not await is_accepted(auth, issuer.issue_token(algorithm="RS256"))


@pytest.mark.parametrize("published", [None, "key-1"])
@pytest.mark.parametrize("named", [None, "key-1"])
async def test_single_key_verifies_tokens_with_and_without_a_key_id(
    issuer: OidcIssuer, published: str | None, named: str | None
) -> None:
    issuer.instead = [build_jwk(RSA, **({"kid": published} if published else {}))]

    assert await is_accepted(issuer.build_auth(), issuer.issue_token(kid=named))


async def test_key_of_another_id_does_not_verify_a_token(issuer: OidcIssuer) -> None:
    issuer.instead = [build_jwk(RSA, kid="key-2")]

    assert not await is_accepted(issuer.build_auth(), issuer.issue_token(kid="key-1"))


async def test_key_of_a_token_without_id_is_found_among_several(issuer: OidcIssuer) -> None:
    issuer.instead = [build_jwk(STRANGERS), build_jwk(P256), build_jwk(RSA, kid="key-1"), build_jwk(P384)]

    assert await is_accepted(issuer.build_auth(), issuer.issue_token(kid=None))


@pytest.mark.parametrize("kid", [None, "key-1"])
async def test_replaced_key_with_the_same_or_no_id_is_found(issuer: OidcIssuer, kid: str | None) -> None:
    issuer.instead = [build_jwk(RSA, **({"kid": kid} if kid else {}))]
    auth = issuer.build_auth()
    assert await is_accepted(auth, issuer.issue_token(kid=kid))

    issuer.instead = [build_jwk(STRANGERS, **({"kid": kid} if kid else {}))]

    assert await is_accepted(auth, issuer.issue_token(kid=kid, key=STRANGERS))
    assert not await is_accepted(auth, issuer.issue_token(kid=kid))


async def test_withdrawn_key_is_refused_once_the_loaded_keys_are_too_old(
    issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth, token = issuer.build_auth(), issuer.issue_token()
    assert await is_accepted(auth, token)
    issuer.instead = [build_jwk(STRANGERS, kid="key-2")]
    assert await is_accepted(auth, token)

    monkeypatch.setattr(oidc, "_LIFETIME_SECONDS", 0.0)

    assert not await is_accepted(auth, token)


async def test_forged_signatures_do_not_query_the_issuer_each_time(issuer: OidcIssuer) -> None:
    auth = issuer.build_auth()
    for _ in range(20):
        assert not await is_accepted(auth, issuer.issue_token(key=STRANGERS, kid=None))
    assert await is_accepted(auth, issuer.issue_token(kid=None))
    assert issuer.asked == 2


async def test_forged_token_does_not_lock_out_others_while_the_issuer_is_down(issuer: OidcIssuer) -> None:
    auth = issuer.build_auth()
    assert await is_accepted(auth, issuer.issue_token())
    issuer.reachable = False
    with pytest.raises(IdentityProviderUnavailableError):
        await auth.authenticate(issuer.issue_token(key=STRANGERS))

    assert await is_accepted(auth, issuer.issue_token())


def encode(part: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def sign_with_secret(issuer: OidcIssuer, secret: bytes, algorithm: str = "HS256") -> str:
    """Return a token that is signed with HMAC.

    PyJWT cannot sign this token, because PyJWT refuses to use a public key as the secret.
    """
    body = f"{encode({'alg': algorithm})}.{issuer.issue_token().split('.')[1]}"
    mac = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


async def test_public_key_is_never_a_shared_secret(issuer: OidcIssuer) -> None:
    jwk = build_jwk(RSA)
    issuer.instead = [jwk]
    public = RSA.public_key()
    formats = [
        (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
    ]
    secrets = [public.public_bytes(*one) for one in formats]
    secrets += [base64.urlsafe_b64decode(jwk["n"] + "=="), jwk["n"].encode(), json.dumps(jwk).encode(), b""]
    auth = issuer.build_auth()

    for secret in secrets:
        for algorithm in ("HS256", "RS256", "hs256"):
            assert not await is_accepted(auth, sign_with_secret(issuer, secret, algorithm))


@pytest.mark.parametrize("algorithm", ["none", "None", "", None, ["RS256"], {"RS256": 1}])
async def test_token_without_a_signature_is_refused(issuer: OidcIssuer, algorithm: object) -> None:
    issuer.instead = [build_jwk(RSA)]
    claims, signature = issuer.issue_token().split(".")[1:]
    auth = issuer.build_auth()

    assert not await is_accepted(auth, f"{encode({'alg': algorithm})}.{claims}.")
    assert not await is_accepted(auth, f"{encode({'alg': algorithm})}.{claims}.{signature}")


UNUSABLE = {
    "a shared secret": {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"},
    "a shared secret that names a public-key algorithm": {"kty": "oct", "k": "c2VjcmV0", "alg": "RS256"},
    "for encryption": build_jwk(RSA, use="enc"),
    "for another operation": build_jwk(RSA, key_ops=["wrapKey"]),
    "of an encryption algorithm": build_jwk(RSA, alg="RSA-OAEP"),
    "of an algorithm of another type": build_jwk(P256, alg="RS256"),
    "of another curve's algorithm": build_jwk(P256, alg="ES384"),
    "of an unknown curve": build_jwk(ec.generate_private_key(ec.SECP256K1())),
    "without its numbers": {"kty": "RSA", "kid": "key-1"},
    "with invalid members": build_jwk(RSA, key_ops=7),
    "of no known form": {"kty": ["RSA"]},
    "not an object": "key-1",
}


@pytest.mark.parametrize("jwk", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_unusable_key_is_ignored_beside_a_usable_one(issuer: OidcIssuer, jwk: object) -> None:
    issuer.instead = [jwk, build_jwk(P521)]
    auth = issuer.build_auth()
    secret = base64.urlsafe_b64decode(UNUSABLE["a shared secret"]["k"] + "==")  # type: ignore[index]

    assert await is_accepted(auth, issuer.issue_token(key=P521, algorithm="ES512", kid=None))
    for token in (
        issuer.issue_token(kid=None),
        issuer.issue_token(key=P256, algorithm="ES256", kid=None),
        jwt.encode({"organisation": "acme"}, secret, algorithm="HS256"),
    ):
        assert not await is_accepted(auth, token)
