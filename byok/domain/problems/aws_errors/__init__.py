"""What AWS's errors mean: one table decides, with a module of rules for each service."""

from byok.domain.problems.aws_errors.rule import ErrorRule, Outcome
from byok.domain.problems.aws_errors.table import OPERATIONS, TABLE, classify

__all__ = ["OPERATIONS", "TABLE", "ErrorRule", "Outcome", "classify"]
