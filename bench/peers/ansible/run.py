"""Ansible: one run of the playbook per environment."""

import json
import sys
from pathlib import Path

from bench.peers.driver import EnvironmentSpec, provision_in_threads, run_program_or_raise

PLAYBOOK = Path(__file__).with_name("playbook.yaml")


def provision(environment: EnvironmentSpec) -> None:
    variables = environment | {"ansible_python_interpreter": sys.executable}
    run_program_or_raise(
        "ansible-playbook", "--inventory", "localhost,", "--extra-vars", json.dumps(variables), str(PLAYBOOK)
    )


if __name__ == "__main__":
    provision_in_threads(provision)
