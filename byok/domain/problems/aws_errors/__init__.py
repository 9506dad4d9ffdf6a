"""The error table, which decides how byok handles each AWS error. Each service has a module with its rules."""

from byok.domain.problems.aws_errors.rule import ErrorOutcome, ErrorRule
from byok.domain.problems.aws_errors.table import ERROR_RULES, OPERATIONS_BY_SERVICE, classify_error

__all__ = ["ERROR_RULES", "OPERATIONS_BY_SERVICE", "ErrorOutcome", "ErrorRule", "classify_error"]
