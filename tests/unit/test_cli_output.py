"""byok extracts the policy byte for byte from every output format of `aws kms get-key-policy` except tables."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from byok.domain.iam.check.cli_output import find_policy_in_cli_output
from byok.domain.iam.check.document import PolicyDocumentError, extract_document, parse_policy
from byok.domain.iam.statements import build_owner_statement

POLICY = {
    "Version": "2012-10-17",
    "Id": "key with 'quotes', a \\ and a long name that YAML folds into two lines",
    "Statement": [build_owner_statement("arn:aws:iam::444455556666:root")],
}
DOCUMENTS = [
    json.dumps(POLICY),
    json.dumps(POLICY, indent=2),
    json.dumps(POLICY, indent=2).replace("\n", "\r\n"),
    json.dumps(POLICY, indent="\t"),
    json.dumps({**POLICY, "Id": "Schlüssel"}, ensure_ascii=False, indent=2) + "\n",
]
# The ASCII characters that KMS accepts in a key policy (KMS API reference, PutKeyPolicy:
# \u0009\u000A\u000D\u0020-\u00FF).
POLICY_TEXT = st.text(st.sampled_from("\t\n\r") | st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=200)


def dump_yaml(content: object) -> str:
    """Write YAML as the AWS CLI does: in block style, with the keys in the order of the response."""
    return yaml.safe_dump(content, default_flow_style=False, sort_keys=False, allow_unicode=True)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_policy_is_extracted_unchanged_from_every_format(document: str) -> None:
    response = {"Policy": document, "PolicyName": "default"}
    for text in (
        document,
        json.dumps(document),  # The output with --query Policy --output json.
        json.dumps(response, indent=4),
        dump_yaml(response),
        dump_yaml({"PolicyName": "default", "Policy": document}),
        dump_yaml([response]),  # The output with --output yaml-stream.
        dump_yaml(document),  # The output with --query Policy --output yaml.
        dump_yaml(response).replace("\n", "\r\n"),
    ):
        assert extract_document(text) == document
    assert extract_document(f"{document.rstrip()}\tdefault\n") == document.rstrip()  # the output with --output text
    assert parse_policy(f"{document.rstrip()}\tdefault\n")["Statement"] == POLICY["Statement"]


@given(POLICY_TEXT)
def test_any_text_survives_yaml(inner: str) -> None:
    text = f"{{{inner}}}"
    assert find_policy_in_cli_output(dump_yaml({"Policy": text, "PolicyName": "default"})) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Policy: {}",
        "PolicyName: default",
        "{}\tmine",
        "{} default",
        'Policy: "\\q"',
        "Policy: '{}'\nPolicyName: mine\n",
        "Policy: '{}",
        'Policy: "\\UFFFFFFFF"',
        "-----------\n|  GetKeyPolicy  |\n",
    ],
)
def test_other_text_is_no_cli_output(text: str) -> None:
    assert find_policy_in_cli_output(text) is None
    with pytest.raises(PolicyDocumentError, match="not valid JSON"):
        extract_document(text)
