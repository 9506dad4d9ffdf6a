"""The list of peers. Each entry names the parts of an environment that the peer cannot create."""

from dataclasses import dataclass
from typing import Final

FLOOR_NAME: Final = "boto3_floor"


@dataclass(frozen=True)
class Peer:
    """A tool that the benchmark measures.

    Attributes:
        name: The name of the tool's folder.
        title: The tool's name in the table.
        exempt: Parts of an environment that the tool cannot create. The final check skips these parts.
        remark: A note, shown below the table, that explains the tool's figures.
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
        remark="moto creates only the instance, the bucket, its encryption and the aliases; CloudFormation has no "
        "resource types for S3 objects or for tags on existing keys",
    ),
    Peer("ansible", "Ansible, amazon.aws"),
    Peer(
        "terraform",
        "Terraform",
        exempt=frozenset({"tags"}),
        remark="the AWS provider cannot tag existing keys; by default, the provider waits 30 s before it first polls a "
        "cluster or an instance",
    ),
)
