"""The list of environments shows what happened, if the code of the problem identifies that."""

import pytest

from byok.domain.problems.titles import find_problem_title


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("s3.KMS.DisabledException", "The S3 key is disabled"),
        ("rds.KMSKeyNotAccessibleFault", "RDS cannot use the Aurora key"),
        ("s3.KMS.KMSInvalidStateException", None),  # several states of a key have this code
        ("s3.AccessDenied", None),  # the key is one of several causes
        ("sts.AccessDenied", None),
        ("byok.NameTaken", None),
        ("", None),
    ],
)
def test_title_is_found_only_if_the_code_has_one_cause(code: str, title: str | None) -> None:
    assert find_problem_title(code) == title
