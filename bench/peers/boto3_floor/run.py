"""The baseline: a bare script that creates each environment in a separate thread, without keeping any state."""

import os

from bench.peers.driver import EnvironmentSpec, provision_in_threads
from bench.peers.steps import STEPS, create_clients


def provision(environment: EnvironmentSpec) -> None:
    for step in STEPS:
        step(environment)


if __name__ == "__main__":
    create_clients(os.environ["AWS_DEFAULT_REGION"])
    provision_in_threads(provision)
