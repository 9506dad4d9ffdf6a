"""The script with which the owner of the keys collects what a diagnosis needs: plain AWS CLI, and it only reads.

It can be run as a file, which is best, since terminals break long lines and forget the beginnings of long outputs; or
be pasted as a whole, into AWS CloudShell for example. It leaves nothing behind in that shell but its one function. What
it prints is read by `byok.domain.diagnosis.key_facts`.
"""

import shlex
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.diagnosis.key_facts import COLLECTION_FORMAT, COLLECTION_SCRIPT_FILE


def render_collection_script(
    platform_role_arn: str, region: str, s3_key_arn: str | None = None, rds_key_arn: str | None = None
) -> str:
    """The script's text; without ARNs it asks for them, and takes the onboarding payload in their place."""
    return _SCRIPT.format(
        file=COLLECTION_SCRIPT_FILE,
        format=COLLECTION_FORMAT,
        role=shlex.quote(platform_role_arn),
        region=shlex.quote(region),
        s3=shlex.quote(s3_key_arn or ""),
        rds=shlex.quote(rds_key_arn or ""),
        s3_label=KeyPurpose.S3.field_label,
        rds_label=KeyPurpose.RDS.field_label,
    )


# The heading is a text and no comment: zsh takes comments at its prompt for commands.
# Answers go out as they are, errors as JSON text: backslashes and quotes escaped, control characters gone.
_SCRIPT: Final = """\
: 'Collects what can be seen of two KMS keys, as JSON, for a diagnosis. It reads and changes nothing.
Run it with credentials of the account that owns the keys: in AWS CloudShell, or wherever the AWS CLI is.
Best save it as {file}, run this, and send the file keys.json back:
  bash {file} > keys.json
Key policies, aliases and tags are in what it prints, and who ran it; no secret is.'
byok_keys() (
  REGION={region}
  PLATFORM_ROLE_ARN={role}
  S3_KEY_ARN={s3}
  RDS_KEY_ARN={rds}
  errors=$(mktemp)
  trap 'rm -f "$errors"' EXIT

  part() {{ printf '%s' "$typed" | tr -d '\\\\' | sed -n 's/.*"'"$1"'" *: *"\\([^"]*\\)".*/\\1/p'; }}
  prompt() {{
    printf '%s: ' "$1" >&2
    typed=''
    while read -r line; do
      typed="$typed$line"
      case $typed in
        '') ;;
        *\\}}*) break ;;
        *\\{{*) ;;
        *) break ;;
      esac
    done
    case $typed in
      *S3KmsKeyArn*) S3_KEY_ARN=$(part S3KmsKeyArn); RDS_KEY_ARN=$(part RdsKmsKeyArn) ;;
    esac
  }}
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
    ask aliases kms list-aliases --key-id "$2"
    ask tags kms list-resource-tags --key-id "$2"
    printf '}}'
  }}

  if [ -z "$S3_KEY_ARN" ]; then prompt '{s3_label}, or the onboarding payload'; : "${{S3_KEY_ARN:=$typed}}"; fi
  if [ -z "$RDS_KEY_ARN" ]; then prompt '{rds_label}'; : "${{RDS_KEY_ARN:=$typed}}"; fi

  printf '{{"%s": "{format}",\\n "platform_role_arn": "%s", "region": "%s"' format "$PLATFORM_ROLE_ARN" "$REGION"
  ask caller sts get-caller-identity
  key s3 "$S3_KEY_ARN"
  key rds "$RDS_KEY_ARN"
  printf '}}\\n'
)
byok_keys
"""
