"""byok's evaluator makes the same decisions as an independent evaluator on thousands of generated policies."""

import json
import os
from collections import Counter
from typing import Any, Final

from hypothesis import given, settings

from byok.domain.iam.evaluator import Effect, Policy, decide_access
from tests.policy_simulator.generated import ACCESS_REQUESTS, CUSTOMER, IDENTITY_POLICIES_STRATEGY, KEY_POLICY_STRATEGY
from tests.policy_simulator.simulator import PolicySimulator

# How many policies to generate. Every run generates the same policies, so that no run fails merely because of new
# examples.
EXAMPLE_COUNT: Final = int(os.environ.get("BYOK_TEST_ORACLE_EXAMPLES", "200"))


def test_every_decision_matches_the_simulator(simulator: PolicySimulator) -> None:
    decided: Counter[Effect] = Counter()

    @settings(max_examples=EXAMPLE_COUNT, derandomize=True, database=None)
    @given(key_policy=KEY_POLICY_STRATEGY, identity_policies=IDENTITY_POLICIES_STRATEGY)
    def agrees(key_policy: dict[str, Any], identity_policies: list[Policy]) -> None:
        theirs = simulator.evaluate(key_policy, CUSTOMER, identity_policies, ACCESS_REQUESTS)
        for call, their in zip(ACCESS_REQUESTS, theirs, strict=True):
            our = decide_access(key_policy, CUSTOMER, identity_policies, call).effect
            decided[our] += 1
            policies = json.dumps([key_policy, *identity_policies], indent=1)
            assert our is their, f"byok decides {our}, the simulator {their}\n{call}\n{policies}"

    agrees()
    assert min(decided[effect] for effect in Effect) > sum(decided.values()) / 50, f"one-sided examples: {decided}"
