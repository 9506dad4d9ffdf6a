"""IAM Simulate, another evaluator of IAM policies, as a process that answers for as long as the tests run."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from byok.domain.iam.evaluator import Access, Effect, Policy
from tests.programs import TOOLS, skip_or_fail

PROGRAM: Final = Path(__file__).with_name("simulate.mjs")
INSTALLED: Final = TOOLS / "oracle"
EFFECTS: Final = {
    "Allowed": Effect.ALLOW,
    "ExplicitlyDenied": Effect.EXPLICIT_DENY,
    "ImplicitlyDenied": Effect.IMPLICIT_DENY,
}


@dataclass(frozen=True)
class Simulator:
    """The simulator, asked line by line."""

    process: subprocess.Popen[str]

    def effects(
        self, key_policy: Policy, owner: str, identity_policies: list[Policy], calls: list[Access]
    ) -> list[Effect]:
        """What the policies mean for each of the calls."""
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
        assert answer["faults"] == [], "AWS would not take such a policy"
        return [EFFECTS[effect] for effect in answer["effects"]]


@pytest.fixture(scope="session")
def simulator(node: Path) -> Iterator[Simulator]:
    """The simulator, if it is installed."""
    if not (INSTALLED / "node_modules").is_dir():
        skip_or_fail("the policy oracle is not in .tools: `make test` installs it where npm is at hand")
    pipe = subprocess.PIPE
    with subprocess.Popen([node, PROGRAM], cwd=INSTALLED, stdin=pipe, stdout=pipe, text=True) as process:
        yield Simulator(process)
        assert process.stdin
        process.stdin.close()
        assert process.wait(10) == 0
