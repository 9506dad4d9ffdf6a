"""What AWS's errors mean: one table, a module of rows per service, and nobody else who decides."""

from byok.domain.problems.aws_errors.rule import ErrorRule, Outcome
from byok.domain.problems.aws_errors.table import OPERATIONS, TABLE, classify

__all__ = ["OPERATIONS", "TABLE", "ErrorRule", "Outcome", "classify"]
