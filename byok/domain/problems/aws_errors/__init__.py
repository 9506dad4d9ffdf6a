"""What AWS's errors mean: one table decides, with a module of rules for each service."""

from byok.domain.problems.aws_errors.rule import ErrorRule, Outcome
from byok.domain.problems.aws_errors.table import ERROR_RULES, OPERATIONS, classify

__all__ = ["ERROR_RULES", "OPERATIONS", "ErrorRule", "Outcome", "classify"]
