"""Ansible: a run of the playbook per environment."""

import json
import sys
from pathlib import Path

from bench.peers.driver import Environment, provision_in_threads, run

PLAYBOOK = Path(__file__).with_name("playbook.yaml")


def provision(environment: Environment) -> None:
    variables = environment | {"ansible_python_interpreter": sys.executable}
    run("ansible-playbook", "--inventory", "localhost,", "--extra-vars", json.dumps(variables), str(PLAYBOOK))


if __name__ == "__main__":
    provision_in_threads(provision)
