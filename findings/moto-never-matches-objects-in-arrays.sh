#!/usr/bin/env bash
# Finding: in moto, the rules of EventBridge do not see the fields of objects that are in an array. A rule for
# CloudTrail's events about a KMS key never matches, and a rule for events without such a field matches all events.
#
# Versions: moto 5.2.5, boto3 1.44.5, event-ruler 0.3.0. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: the event that EventBridge gets when CloudTrail records DisableKey. Its detail contains the key as
# "resources": [{"ARN": "arn:aws:kms:…", "type": "AWS::KMS::Key"}]. A rule sends matching events to an SQS queue.
#   pattern in detail                        expected      event-ruler   moto
#   eventName: [DisableKey]                  match         match         match
#   resources: {ARN: [<the key>]}            match         match         no match, and no error
#   resources: {ARN: [{exists: true}]}       match         match         no match, and no error
#   resources: {ARN: [{exists: false}]}      no match      no match      match
#
# Expected: the README of AWS's library Event Ruler, section "JSON Array Matching", says that objects in an array are
# treated as if they were the value of the parent field. The package event-ruler, which implements EventBridge's
# patterns in Go, does so. moto sees the fields of nested objects, but not of objects in an array. Pull request 9618 of
# getmoto/moto added the matching of arrays, but only of arrays of plain values. We found no issue about this.
#
# Affected: tests of rules that watch single resources in CloudTrail's events, such as an alarm for a disabled KMS key.
# In moto, the rule never sends an event and reports no error, so a correct rule looks wrong. A rule that must exclude
# events by a field in an array looks correct, because moto does not exclude any.
# Exits with 0 while moto behaves this way, and with 1 once a rule for the ARN matches.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check 'moto[events,sqs]==5.2.5' boto3==1.44.5 event-ruler==0.3.0 \
  2> /dev/null

cat > rules.py << 'PYTHON'
import json
import os
from typing import Any

import boto3
import event_ruler
from moto import mock_aws

REGION = "eu-central-1"
KEY = f"arn:aws:kms:{REGION}:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
DETAIL = {
    "eventSource": "kms.amazonaws.com",
    "eventName": "DisableKey",
    "resources": [{"accountId": "111122223333", "type": "AWS::KMS::Key", "ARN": KEY}],
}
DETAIL_TYPE = "AWS API Call via CloudTrail"
PATTERNS: list[tuple[dict[str, Any], bool]] = [
    ({"eventName": ["DisableKey"]}, True),
    ({"resources": {"ARN": [KEY]}}, True),
    ({"resources": {"ARN": [{"exists": True}]}}, True),
    ({"resources": {"ARN": [{"exists": False}]}}, False),
]


def matches_in_moto(pattern: dict[str, Any]) -> bool:
    with mock_aws():
        events, sqs = boto3.client("events", REGION), boto3.client("sqs", REGION)
        queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.put_rule(Name="alarm", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="alarm", Targets=[{"Id": "queue", "Arn": arn}])
        event = {"Source": "test.kms", "DetailType": DETAIL_TYPE, "Detail": json.dumps(DETAIL)}
        assert events.put_events(Entries=[event])["FailedEntryCount"] == 0
        return bool(sqs.receive_message(QueueUrl=queue).get("Messages"))


def matches_in_event_ruler(pattern: dict[str, Any]) -> bool:
    event = {"source": "test.kms", "detail-type": DETAIL_TYPE, "detail": DETAIL}
    return bool(event_ruler.test_event_pattern(json.dumps(event), json.dumps(pattern)))


os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
seen = []
for detail, expected in PATTERNS:
    pattern = {"detail-type": [DETAIL_TYPE], "detail": detail}
    seen.append((expected, matches_in_event_ruler(pattern), matches_in_moto(pattern)))
    print(f"{json.dumps(detail)} -> expected, event-ruler, moto: {seen[-1]}")
wrong = [(True, True, False)] * 2 + [(False, False, True)]
raise SystemExit(0 if seen == [(True, True, True), *wrong] else 1)
PYTHON
tools/bin/python rules.py
