"""Run Canaille, an OIDC provider, with two users and the given clients.

The program runs in a separate virtual environment (requirements/oidc.lock), and prints the issuer's URL once the server
listens. The arguments are the server's URL, the users' password, and `CLIENT:SECRET` pairs. A client without a secret
is public.
"""

import os
import socket
import sys
import tempfile

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # the provider listens on this machine only

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from canaille.backends.sql.backend import Base, SQLBackend
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server


class SilentHandler(WSGIRequestHandler):
    """Logs no requests."""

    def log_request(self, *_: object) -> None:
        pass


def main(folder: str, public_url: str, password: str, *clients: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    host = f"localhost:{listener.getsockname()[1]}"
    app = create_app(
        {
            "SECRET_KEY": os.urandom(32).hex(),
            "SERVER_NAME": host,
            "PREFERRED_URL_SCHEME": "http",
            # In Canaille 0.3.6, a query of the memory backend finds an object if any attribute matches, so a client
            # could exchange any of its codes in place of another.
            "CANAILLE": {"DATABASE": "sql", "JAVASCRIPT": False, "HTMX": False},
            "CANAILLE_SQL": {"DATABASE_URI": f"sqlite:///{folder}/canaille.db", "AUTO_MIGRATE": False},
            "CANAILLE_OIDC": {
                "ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)],
                # Canaille has no claim for an organisation, so the claim for the preferred user name contains it.
                "USERINFO_MAPPING": {"PREFERRED_USERNAME": "{{ user.organization or '' }}"},
            },
        }
    )
    with app.app_context():
        Base.metadata.create_all(SQLBackend.engine)  # faster than running all of Canaille's migrations
        for name, organisation in (("ada", "acme"), ("grace", None)):
            person = {"formatted_name": name, "family_name": name, "user_name": name, "emails": [f"{name}@example.com"]}
            Backend.instance.save(models.User(**person, password=password, organization=organisation))
        for client_id, _, secret in (client.partition(":") for client in clients):
            client = models.Client(
                client_id=client_id,
                client_name=client_id,
                client_secret=secret,
                token_endpoint_auth_method="client_secret_basic" if secret else "none",
                # Canaille asks for consent unless the client is on this machine.
                client_uri="https://wizard.example.com" if secret else public_url,
                redirect_uris=[f"{public_url}/sign-in/callback"],
                post_logout_redirect_uris=[f"{public_url}/sign-in"],
                grant_types=["authorization_code"],
                response_types=["code"],
            )
            Backend.instance.save(client)
            client.audience = [client]
            Backend.instance.save(client)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=SilentHandler, fd=listener.fileno())
    sys.stdout.write(f"http://{host}\n")
    sys.stdout.flush()
    server.serve_forever(0.05)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as found:
        main(found, *sys.argv[1:])
