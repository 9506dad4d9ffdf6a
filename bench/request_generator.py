"""Generates requests for environments. Each environment has a separate pair of keys."""

import argparse
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from byok.domain.models import ProvisionRequest

REGION: Final = "eu-central-1"
PLATFORM_ROLE_ARN: Final = "arn:aws:iam::111122223333:role/AtaccamaPlatform"


@dataclass
class RequestGenerator:
    """Generates requests for environments.

    Attributes:
        pairs: ARNs of existing S3 and Aurora keys, in pairs. If None, the generator makes up ARNs, which the stand-in
            accepts.
    """

    pairs: list[tuple[str, str]] | None = None
    _next: Iterator[tuple[str, str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._next = iter(self.pairs if self.pairs is not None else iter(_invent_keys, None))

    @classmethod
    def from_arguments(cls, parser: argparse.ArgumentParser) -> tuple[Self, argparse.Namespace]:
        """Parse the command line, and return two values: a generator and the parsed arguments.

        If `--keys` names a file, the generator uses the keys in that file.
        """
        parser.add_argument("--environments", type=int)
        parser.add_argument("--concurrency", type=int, default=1)
        parser.add_argument("--keys", type=Path, help="JSON file with pairs of key ARNs (default: made-up ARNs)")
        chosen = parser.parse_args()
        return cls(json.loads(chosen.keys.read_text()) if chosen.keys else None), chosen

    def next_request(self, prefix: str) -> ProvisionRequest:
        """Return the next request."""
        s3, rds = next(self._next)
        name = f"{prefix}-{uuid.uuid4().hex[:10]}"
        return ProvisionRequest(environment_id=name, region=REGION, s3_key_arn=s3, rds_key_arn=rds)


def _invent_keys() -> tuple[str, str]:
    return _key(), _key()


def _key() -> str:
    return f"arn:aws:kms:{REGION}:444455556666:key/{uuid.uuid4()}"
