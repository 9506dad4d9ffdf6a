"""Run IAM Simulate, an independent evaluator of IAM policies, in a process that runs until the tests have ended."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from byok.domain.iam.evaluator import AccessRequest, Effect, Policy
from tests.programs import TOOLS_DIR, skip_or_fail

PROGRAM_PATH: Final = Path(__file__).with_name("simulate.mjs")
INSTALL_DIR: Final = TOOLS_DIR / "oracle"
EFFECTS_BY_DECISION: Final = {
    "Allowed": Effect.ALLOW,
    "ExplicitlyDenied": Effect.EXPLICIT_DENY,
    "ImplicitlyDenied": Effect.IMPLICIT_DENY,
}


@dataclass(frozen=True)
class PolicySimulator:
    """The simulator's process, which reads one request per line and writes one response per line."""

    process: subprocess.Popen[str]

    def evaluate(
        self, key_policy: Policy, owner: str, identity_policies: list[Policy], calls: list[AccessRequest]
    ) -> list[Effect]:
        """Return the simulator's decision on each of the calls."""
        asked = {
            "keyPolicy": key_policy,
            "owner": owner,
            "identityPolicies": identity_policies,
            "calls": [
                {
                    "principal": call.caller.arn,
                    "action": call.action,
                    "resource": call.resource,
                    "context": call.context,
                }
                for call in calls
            ],
        }
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{json.dumps(asked)}\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        assert answer["faults"] == [], "AWS would refuse such a policy"
        return [EFFECTS_BY_DECISION[effect] for effect in answer["effects"]]


@pytest.fixture(scope="session")
def simulator(node: Path) -> Iterator[PolicySimulator]:
    """The running simulator. If no simulator is installed, the test is skipped, except in CI, where the test fails."""
    if not (INSTALL_DIR / "node_modules").is_dir():
        skip_or_fail("the policy simulator is not in .tools: `make test` installs it if npm is available")
    pipe = subprocess.PIPE
    with subprocess.Popen([node, PROGRAM_PATH], cwd=INSTALL_DIR, stdin=pipe, stdout=pipe, text=True) as process:
        yield PolicySimulator(process)
        assert process.stdin
        process.stdin.close()
        assert process.wait(10) == 0
