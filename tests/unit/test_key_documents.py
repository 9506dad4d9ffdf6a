"""The pages for key administrators contain all facts that a customer must know about the two keys."""

import re

import pytest

from tests.sentences import list_sentences

KEYS = "docs/keys.md"
OWNERS = "docs/key-owners.md"


@pytest.mark.parametrize("page", [KEYS, OWNERS])
@pytest.mark.parametrize(
    "words",
    [
        r"[Dd]isabl.+delet.+ key .+inaccessible",  # contract 111
        r"7 to 30 days.+cancel",  # contract 112
        r"(Do not|Never) (change|remove) or (change|remove)",  # contract 56
        r"(lose|loses) (control|access)",  # contract 56
    ],
)
def test_both_pages_warn_of_the_loss_of_a_key(page: str, words: str) -> None:
    assert find_sentences(page, words)


@pytest.mark.parametrize(
    "words",
    [
        r"template .*rotation",  # contract 113
        r"do not need to do anything",  # contract 114
        r"multi-Region key as a single-Region key",  # contract 118
        r"replica in the environment's Region",  # contract 116
    ],
)
def test_rotation_and_multi_region_keys_are_explained(words: str) -> None:
    assert find_sentences(KEYS, words)


@pytest.mark.parametrize(
    "words",
    [
        r"AWS account .*permission to create KMS keys",  # contract 2, 3
        r"CloudFormation \(recommended\)",  # contract 31
        r"Upload a template file.*`byok-kms-keys\.yaml`",  # contract 42
        r"Create the keys manually",  # contract 51
        r"Symmetric.* usage .*Encrypt and decrypt",  # contract 52
        r"key administrators and key users according to your organisation",  # contract 55
        r"append .*: one statement for the S3 key.* two statements for the Aurora key",  # contract 57-59
        r"Send both key ARNs",  # contract 60
    ],
)
def test_both_ways_to_create_the_keys_are_explained(words: str) -> None:
    assert find_sentences(OWNERS, words)


def find_sentences(page: str, words: str) -> list[str]:
    """Find the sentences of a page that match a regular expression."""
    return [sentence for sentence in list_sentences(page) if re.search(words, sentence)]
