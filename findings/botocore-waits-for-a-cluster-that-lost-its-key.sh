#!/usr/bin/env bash
# Finding: two statuses of an Aurora cluster or DB instance mean that RDS cannot use the KMS key. botocore's waiters for
# an available cluster or instance do not recognise these statuses. The waiters poll for half an hour, and then report
# only that the maximum number of attempts was exceeded.
#
# Versions: botocore 1.44.5. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: a stub returns describe responses with the status of a cluster or an instance, so no request is sent.
# failed                                        fails after 1 call: terminal failure state
# inaccessible-encryption-credentials           60 calls, then "Max attempts exceeded"
# inaccessible-encryption-credentials-recoverable  60 calls, then "Max attempts exceeded"
# Between two calls, the waiters wait for 30 seconds; the script sets this delay to 0.
#
# Expected: an immediate failure, as for failed, incompatible-restore and incompatible-parameters. The RDS user guide
# says that a database with the status inaccessible-encryption-credentials can only be restored from a backup. If the
# status is inaccessible-encryption-credentials-recoverable, a person must restore access to the key and start the
# database. We found no issue about this.
#
# Affected: users of get_waiter(), and users of `aws rds wait`, which uses the same waiter model. If the key's owner has
# disabled the key, a script hangs for 30 minutes, and the script's error does not mention the key.
# Exits with 0 while the waiters behave this way, and with 1 once one of them fails immediately.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check botocore==1.44.5 2> /dev/null

cat > waiters.py << 'PYTHON'
import sys

from botocore.exceptions import WaiterError
from botocore.session import get_session
from botocore.stub import Stubber

LOST = ("inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable")
WAITERS = {
    "db_cluster_available": ("describe_db_clusters", "DBClusters", "Status"),
    "db_instance_available": ("describe_db_instances", "DBInstances", "DBInstanceStatus"),
}


def wait(waiter_name: str, status: str) -> tuple[int, str]:
    operation, result, field = WAITERS[waiter_name]
    client = get_session().create_client(
        "rds", region_name="eu-central-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    calls = 0

    def count(**_: object) -> None:
        nonlocal calls
        calls += 1

    client.meta.events.register("before-parameter-build.rds", count)
    waiter = client.get_waiter(waiter_name)
    assert (waiter.config.delay, waiter.config.max_attempts) == (30, 60)
    with Stubber(client) as stub:
        for _ in range(60):
            stub.add_response(operation, {result: [{field: status}]})
        try:
            waiter.wait(WaiterConfig={"Delay": 0})
        except WaiterError as error:
            return calls, str(error.kwargs["reason"]).split(":")[0]
    return calls, "success"


unchanged = True
for name in WAITERS:
    for status in ("failed", *LOST):
        calls, reason = wait(name, status)
        print(name, status, "->", calls, "calls:", reason)
        expected = 60 if status in LOST else 1
        unchanged = unchanged and calls == expected and reason != "success"
sys.exit(0 if unchanged else 1)
PYTHON
tools/bin/python waiters.py
