"""The peers, and the parts of the work that each of them cannot do."""

from dataclasses import dataclass
from typing import Final

FLOOR_NAME: Final = "boto3_floor"


@dataclass(frozen=True)
class Peer:
    """A tool that does the same work.

    Attributes:
        name: Its folder.
        title: Its name in the table.
        exempt: Parts of an environment that it cannot create, which the final check therefore skips.
        remark: What you need to know to read its figures.
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
        remark="of the template, moto's engine creates the instance, the bucket with its encryption and the aliases; "
        "CloudFormation has no resources for objects, or for tags on existing keys",
    ),
    Peer("ansible", "Ansible, amazon.aws"),
    Peer(
        "terraform",
        "Terraform",
        exempt=frozenset({"tags"}),
        remark="no resource tags an existing key; by default, the provider waits 30 s before it first polls a cluster "
        "or an instance",
    ),
)
