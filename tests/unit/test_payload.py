"""byok accepts the onboarding payload in place of two ARNs, and does not mistake any other text for a payload."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from byok.domain.models import CheckKeysRequest, ProvisionRequest
from byok.domain.onboarding.payload import PayloadError, parse_payload

S3 = "arn:aws:kms:eu-central-1:444455556666:key/11111111-1111-4111-8111-111111111111"
RDS = "arn:aws:kms:eu-central-1:444455556666:key/22222222-2222-4222-8222-222222222222"
PAYLOAD = f'{{"S3KmsKeyArn":"{S3}","RdsKmsKeyArn":"{RDS}"}}'
NAMED = {"S3KmsKeyArn": S3, "RdsKmsKeyArn": RDS}


@pytest.mark.parametrize(
    "given",
    [
        {"s3_key_arn": PAYLOAD},
        {"rds_key_arn": PAYLOAD},
        {"s3_key_arn": PAYLOAD, "rds_key_arn": PAYLOAD},
        {"s3_key_arn": f"\n{json.dumps(NAMED, indent=4)}\n"},  # pretty-printed
        {"s3_key_arn": PAYLOAD, "rds_key_arn": RDS},
        {"s3_key_arn": PAYLOAD, "rds_key_arn": ""},
        {"s3_key_arn": NAMED},
        {"s3_key_arn": json.dumps(PAYLOAD)},  # as the AWS CLI prints the payload with --output json
        {"s3_key_arn": json.dumps([PAYLOAD])},
        NAMED,
        {"s3_key_arn": S3, "rds_key_arn": RDS},
        {"s3_key_arn": f" {S3}", "rds_key_arn": f"{RDS}\n"},
    ],
)
def test_request_accepts_the_payload_in_every_field(given: dict[str, Any]) -> None:
    request = CheckKeysRequest.model_validate({"region": "eu-central-1", **given})  # contract 50

    assert (request.s3_key_arn, request.rds_key_arn) == (S3, RDS)


def test_workflow_input_accepts_the_payload() -> None:
    typed = json.dumps({"environment_id": "acme", "region": "eu-central-1", **NAMED})

    assert ProvisionRequest.model_validate_json(typed).rds_key_arn == RDS


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"s3_key_arn": '{"S3KmsKeyArn": oops'}, "not valid JSON"),
        ({"s3_key_arn": '{"S3KmsKeyArn":"x"}'}, "lacks RdsKmsKeyArn"),
        ({"s3_key_arn": '{"S3KmsKeyArn":"x","RdsKmsKeyArn":null}'}, "lacks RdsKmsKeyArn"),
        ({"s3_key_arn": "[1, 2]"}, "not a JSON object"),
        ({"s3_key_arn": PAYLOAD, "rds_key_arn": S3}, "contains a different key"),
        ({**NAMED, "rds_key_arn": S3}, "contains a different key"),
        ({"S3KmsKeyArn": S3}, "lacks RdsKmsKeyArn"),
    ],
)
def test_invalid_payload_is_refused_with_the_reason(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CheckKeysRequest.model_validate({"region": "eu-central-1", **given})


@pytest.mark.parametrize("given", ["", "None", "None\n", "null", " null\n", "[]", "[null]", '"None"', None, []])
def test_missing_output_is_explained_by_the_stack(given: Any) -> None:
    with pytest.raises(PayloadError, match="not reached CREATE_COMPLETE yet, or the stack name or the Region is wrong"):
        parse_payload(given)


@pytest.mark.parametrize("field", ["s3_key_arn", "rds_key_arn"])
@pytest.mark.parametrize("text", ["None", "null", "[]", "None\n"])
def test_missing_output_in_a_field_is_explained_by_the_stack(field: str, text: str) -> None:
    with pytest.raises(ValidationError, match="has not reached CREATE_COMPLETE yet"):
        CheckKeysRequest.model_validate({"region": "eu-central-1", field: text})


def test_plain_text_is_not_a_payload() -> None:
    with pytest.raises(PayloadError, match="A payload looks like this"):
        parse_payload("arn")
