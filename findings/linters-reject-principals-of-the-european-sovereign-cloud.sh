#!/usr/bin/env bash
# Finding: cfn-lint supports the Region of the AWS European Sovereign Cloud and accepts the ARNs of KMS keys in this
# Region, but reports an error for every IAM principal of the partition. Parliament rejects the ARNs of the keys.
#
# Versions: cfn-lint 1.58.0, parliament 1.6.4. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: a KMS key whose policy has the account's root user as principal, and an Aurora cluster that refers to a key by
# its ARN. The script tests both resources with ARNs of the partition aws-eusc and with ARNs of the partition aws.
# cfn-lint --regions eusc-de-east-1, aws-eusc   E3512 at the principal, nothing at KmsKeyId
# cfn-lint, aws                                 no finding
# parliament, a key's ARN, aws-eusc             INVALID_ARN: Unexpected partition
# parliament, a key's ARN, aws                  no finding
#
# Expected: no finding. botocore 1.44.5 contains the partition and its endpoints. cfn-lint's pull request 4286 added the
# Region, but cfn-lint's pattern for principals still lists only aws, aws-cn and aws-us-gov. We found no issue about
# cfn-lint's or Parliament's behaviour.
#
# Affected: pipelines that use these linters to check key policies for eusc-de-east-1, because valid policies fail.
# Exits with 0 while both linters behave this way, and with 1 once one of them changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check cfn-lint==1.58.0 parliament==1.6.4 setuptools==80.9.0 2> /dev/null

cat > audit.py << 'PYTHON'
import pathlib
import sys

from parliament import analyze_policy_string

for finding in analyze_policy_string(pathlib.Path(sys.argv[1]).read_text()).findings:
    print(f"{finding.issue}: {finding.detail}")
PYTHON

for partition in aws-eusc:eusc-de-east-1 aws:eu-central-1; do
  name=${partition%%:*} region=${partition##*:}
  cat > "$name.yaml" << YAML
Resources:
  Key:
    Type: AWS::KMS::Key
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      KeyPolicy:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal: {AWS: "arn:$name:iam::111122223333:root"}
            Action: kms:*
            Resource: "*"
  Cluster:
    Type: AWS::RDS::DBCluster
    DeletionPolicy: Snapshot
    UpdateReplacePolicy: Snapshot
    Properties:
      Engine: aurora-postgresql
      StorageEncrypted: true
      KmsKeyId: "arn:$name:kms:$region:111122223333:key/11111111-1111-4111-8111-111111111111"
      MasterUsername: clusteradmin
      ManageMasterUserPassword: true
YAML
  cat > "$name.json" << JSON
{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "kms:Decrypt",
      "Resource": "arn:$name:kms:$region:111122223333:key/11111111-1111-4111-8111-111111111111"
    }
  ]
}
JSON
  tools/bin/cfn-lint --regions "$region" --format parseable "$name.yaml" > "$name.cfn-lint" || true
  tools/bin/python -W ignore audit.py "$name.json" > "$name.parliament"
  cut -d : -f 2,6 "$name.cfn-lint" | sort -u > "$name.places"
  echo "$name: cfn-lint: $(tr '\n' ' ' < "$name.places") parliament: $(cat "$name.parliament")"
done

[ ! -s aws.cfn-lint ]
[ ! -s aws.parliament ]
[ "$(cat aws-eusc.places)" = '11:E3512' ]  # line 11 has the principal
[ "$(cat aws-eusc.parliament)" = 'INVALID_ARN: Unexpected partition' ]
