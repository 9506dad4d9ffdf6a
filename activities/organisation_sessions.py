"""Sessions of the platform role that have an organisation's name as a session tag."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import botocore.loaders
import botocore.session
from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
from botocore.exceptions import ClientError

from activities.aws_errors import mark_own_session_error
from byok.domain.iam.statements import ORGANISATION_TAG

if TYPE_CHECKING:
    from mypy_boto3_sts import STSClient

_SESSION_SECONDS: Final = 3600
"""One hour. Role chaining allows no longer sessions, and every role allows sessions of an hour (IAM user guide,
"Methods to assume a role"). Botocore starts to renew the credentials 15 minutes before they expire."""

_MODELS: Final = botocore.loaders.create_loader()
"""Loads and caches AWS's service models once for all sessions."""


@dataclass(frozen=True)
class TaggedRole:
    """The role of the worker's tagged sessions, which is the worker's own role.

    The role must trust itself for sts:AssumeRole and sts:TagSession (IAM user guide, "Pass session tags in AWS STS").

    Attributes:
        role_arn: The ARN of the platform role.
        region: The Region whose STS endpoint is called.
    """

    role_arn: str
    region: str


class _TaggedCredentials(CredentialProvider):
    """Gets credentials when the first call needs them, and renews them before they expire.

    This class is thread-safe.
    """

    METHOD = "byok-organisation-session"

    def __init__(self, role_arn: str, organisation: str, sts: "Callable[[], STSClient]") -> None:
        super().__init__()
        self._role_arn, self._organisation, self._sts = role_arn, organisation, sts

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(self._assume_role, self.METHOD)

    def _assume_role(self) -> dict[str, str]:
        try:
            taken = self._sts().assume_role(
                RoleArn=self._role_arn,
                RoleSessionName=f"byok-{self._organisation}",
                DurationSeconds=_SESSION_SECONDS,
                Tags=[{"Key": ORGANISATION_TAG, "Value": self._organisation}],
            )["Credentials"]
        except ClientError as error:
            mark_own_session_error(error)
            raise
        return {
            "access_key": taken["AccessKeyId"],
            "secret_key": taken["SecretAccessKey"],
            "token": taken["SessionToken"],
            "expiry_time": taken["Expiration"].isoformat(),
        }


def build_tagged_session(role_arn: str, organisation: str, sts: "Callable[[], STSClient]") -> botocore.session.Session:
    """Build a session whose calls are made with the session tag `organisation`.

    The session calls STS only when a call needs credentials.

    Args:
        role_arn: The role to assume.
        organisation: The value of the session tag.
        sts: Returns an STS client with the worker's own credentials.
    """
    session = botocore.session.Session()
    session.register_component("data_loader", _MODELS)
    provider = _TaggedCredentials(role_arn, organisation, sts)
    session.register_component("credential_provider", CredentialResolver([provider]))
    return session
