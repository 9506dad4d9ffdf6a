"""The peers, and what each of them cannot make of the work."""

from dataclasses import dataclass
from typing import Final

FLOOR_NAME: Final = "boto3_floor"


@dataclass(frozen=True)
class Peer:
    """A tool that does the same work.

    Attributes:
        name: Its folder.
        title: What people call it.
        exempt: Parts of an environment that it cannot make, so that they are not looked for in the end.
        remark: What a reader of its figures has to know.
    """

    name: str
    title: str
    exempt: frozenset[str] = frozenset()
    remark: str = ""


PEERS: Final = (
    Peer(FLOOR_NAME, "bare boto3 (floor)"),
    Peer("celery", "Celery, Redis"),
    Peer("dbos", "DBOS, SQLite"),
    Peer("prefect", "Prefect"),
    Peer("temporal_plain", "plain Temporal, in memory"),
    Peer(
        "cloudformation",
        "CloudFormation, AWS CLI",
        exempt=frozenset({"cluster", "access block", "versioning", "policy", "object", "tags"}),
        remark="of the template, moto's engine makes the instance, the bucket with its encryption and the aliases; "
        "objects and tags of keys that are there already are no resources of CloudFormation's",
    ),
    Peer("ansible", "Ansible, amazon.aws"),
    Peer(
        "terraform",
        "Terraform",
        exempt=frozenset({"tags"}),
        remark="no resource tags a key that is there already; by its default, the provider waits 30 s before it "
        "first looks at a cluster or an instance",
    ),
)
