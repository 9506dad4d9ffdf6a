"""STS with GetCallerIdentity, which the worker calls when it starts."""

from typing import Final

from bench.stand_in.messages import not_modelled_error, render_xml
from localaws.accounts import PLATFORM_ROLE_NAME
from localaws.state import PLATFORM_ACCOUNT

XML_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"

_IDENTITY: Final = render_xml(
    {
        "UserId": f"AIDA{PLATFORM_ACCOUNT}",
        "Account": PLATFORM_ACCOUNT,
        "Arn": f"arn:aws:sts::{PLATFORM_ACCOUNT}:assumed-role/{PLATFORM_ROLE_NAME}/worker",
    }
)


def get_caller_identity(_region: str, params: dict[str, str]) -> str:
    """GetCallerIdentity: return a session of the platform role to every caller.

    Raises:
        AwsError: The call has a parameter, although the operation accepts none.
    """
    if params:
        raise not_modelled_error(f"{', '.join(params)} of GetCallerIdentity")
    return _IDENTITY
