"""The read-only AWS CLI script that the key administrator runs to collect the data for a diagnosis.

The key administrator should run the script as a file, because terminals break long lines and drop the beginning of long
output. The key administrator can also paste the whole script, for example into AWS CloudShell. Afterwards, only the
script's function remains defined in that shell. `byok.domain.diagnosis.key_facts` reads the output of the script.
"""

import shlex
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.diagnosis.key_facts import COLLECTION_FORMAT, COLLECTION_SCRIPT_FILE


def render_collection_script(
    platform_role_arn: str,
    region: str,
    s3_key_arn: str | None = None,
    rds_key_arn: str | None = None,
    organisation: str | None = None,
) -> str:
    """Return the script's text. If an ARN is missing, the script prompts for the ARN or the onboarding payload."""
    return _SCRIPT.format(
        file=COLLECTION_SCRIPT_FILE,
        format=COLLECTION_FORMAT,
        role=shlex.quote(platform_role_arn),
        region=shlex.quote(region),
        organisation=f'  printf \', "organisation": "{organisation}"\'\n' if organisation else "",
        s3=shlex.quote(s3_key_arn or ""),
        rds=shlex.quote(rds_key_arn or ""),
        s3_label=KeyPurpose.S3.field_label,
        rds_label=KeyPurpose.RDS.field_label,
    )


# The heading is a string, not a comment, because zsh, by default, treats a comment pasted at its prompt as a command.
# The script prints AWS's responses unchanged. The script prints errors as JSON strings, with backslashes and quotes
# escaped, and with spaces in place of control characters.
_SCRIPT: Final = """\
: 'Collects the state of two KMS keys as JSON, for a diagnosis. The script is read-only and changes nothing.
Run it with credentials for the account that owns the keys, in AWS CloudShell or wherever the AWS CLI is installed.
Preferably, save this script as {file}, run this command, and send back the file keys.json:
  bash {file} > keys.json
The output contains key policies, aliases, tags and the identity that ran the script. It contains no secrets.'
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
{organisation}  ask caller sts get-caller-identity
  key s3 "$S3_KEY_ARN"
  key rds "$RDS_KEY_ARN"
  printf '}}\\n'
)
byok_keys
"""
