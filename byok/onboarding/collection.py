"""The script with which the owner of the keys collects what a diagnosis needs: plain AWS CLI, and it only reads.

It is one shell function that is called at its end, so that it can be pasted as a whole, into AWS CloudShell for
example. What it prints is read by `byok.domain.key_diagnosis`.
"""

import shlex
from typing import Final

from byok.domain.key_diagnosis import FORMAT


def collection_script(
    platform_role_arn: str, region: str, s3_key_arn: str | None = None, rds_key_arn: str | None = None
) -> str:
    """The script's text; without ARNs it asks for them."""
    return _SCRIPT.format(
        format=FORMAT,
        role=shlex.quote(platform_role_arn),
        region=shlex.quote(region),
        s3=_given("S3_KEY_ARN", "S3 key ARN", s3_key_arn),
        rds=_given("RDS_KEY_ARN", "RDS key ARN", rds_key_arn),
    )


def _given(variable: str, label: str, arn: str | None) -> str:
    if arn is not None:
        return f"{variable}={shlex.quote(arn)}"
    return f"printf '{label}: ' >&2; read -r {variable}"


# Answers go out as they are, errors as JSON text: backslashes and quotes escaped, control characters gone.
_SCRIPT: Final = """\
# Collects what can be seen of two KMS keys, as JSON, for a diagnosis. It reads and changes nothing.
# Run it with credentials of the account that owns the keys, in AWS CloudShell or wherever the AWS CLI is.
# Key policies, grants, aliases and tags are in what it prints; no secret is.
byok_keys() {{
  REGION={region}
  PLATFORM_ROLE_ARN={role}
  {s3}
  {rds}
  errors=$(mktemp)

  text() {{ tr '\\000-\\037' ' ' | sed -e 's/\\\\/\\\\\\\\/g' -e 's/"/\\\\"/g'; }}
  ask() {{
    printf ',\\n   "%s": ' "$1"; shift
    if answer=$(aws "$@" --region "$REGION" --output json 2>"$errors") && [ -n "$answer" ]; then
      printf '%s' "$answer"
    else
      printf '{{"error": "%s"}}' "$(text <"$errors")"
    fi
  }}
  key() {{
    printf ',\\n "%s": {{"arn": "%s"' "$1" "$(printf '%s' "$2" | text)"
    ask describe_key kms describe-key --key-id "$2"
    ask key_policy kms get-key-policy --policy-name default --key-id "$2"
    ask rotation kms get-key-rotation-status --key-id "$2"
    ask grants kms list-grants --key-id "$2"
    ask aliases kms list-aliases --key-id "$2"
    ask tags kms list-resource-tags --key-id "$2"
    printf '}}'
  }}

  printf '{{"format": "{format}",\\n "platform_role_arn": "%s", "region": "%s"' "$PLATFORM_ROLE_ARN" "$REGION"
  ask caller sts get-caller-identity
  key s3 "$S3_KEY_ARN"
  key rds "$RDS_KEY_ARN"
  printf '}}\\n'
  rm -f "$errors"
}}
byok_keys
"""
