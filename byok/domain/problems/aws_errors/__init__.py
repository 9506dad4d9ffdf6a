"""What AWS's errors mean: one table decides, with a module of rules for each service."""

from byok.domain.problems.aws_errors.rule import ErrorOutcome, ErrorRule
from byok.domain.problems.aws_errors.table import ERROR_RULES, OPERATIONS_BY_SERVICE, classify_error

__all__ = ["ERROR_RULES", "OPERATIONS_BY_SERVICE", "ErrorOutcome", "ErrorRule", "classify_error"]
