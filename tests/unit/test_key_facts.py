"""byok parses the collection script's output in every format in which users send it, and reports incomplete output."""

import json
import textwrap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byok.domain.diagnosis.key_facts import COLLECTION_FORMAT, CollectedKeys, CollectedKeysError
from byok.onboarding.collection_script import render_collection_script
from tests.collected_keys import PLACE, Facts, build_collected_keys

WHOLE = build_collected_keys()
PRINTED = WHOLE.model_dump_json(indent=1).replace('{\n "format"', '{"format"', 1)


def build_facts(**changes: Any) -> Facts:
    return json.loads(WHOLE.model_dump_json()) | changes  # type: ignore[no-any-return]


def build_facts_with_s3_changes(**changes: Any) -> Facts:
    return build_facts(s3=build_facts()["s3"] | changes)


def wrap_as_terminal(text: str, end: str) -> str:
    """Wrap the text as an 80-column terminal does."""
    return end.join(
        part for line in text.splitlines() for part in textwrap.wrap(line, 80, drop_whitespace=False) or [""]
    )


@pytest.mark.parametrize(
    "sent",
    [
        PRINTED,
        json.dumps(build_facts(), sort_keys=True),
        f"~ $ bash byok-keys.sh\nS3 key ARN, or the onboarding payload: x\n{PRINTED}\n~ $ ",
        f"{render_collection_script(PLACE.role, PLACE.region)}\n{PRINTED}\n~ $",
        f"{PRINTED[:400]}\n^C\n~ $ bash byok-keys.sh\n{PRINTED}",
        wrap_as_terminal(PRINTED, "\n"),
        f"$ {wrap_as_terminal(PRINTED, chr(13) + chr(10))}\r\n$ ",
    ],
)
def test_surrounding_text_and_wrapped_lines_are_ignored(sent: str) -> None:
    assert CollectedKeys.parse(sent) == WHOLE


@given(st.integers(1, len(PRINTED) - 1))
def test_truncated_text_is_reported(length: int) -> None:
    with pytest.raises(CollectedKeysError, match=r"output is missing.*keys.json|not the script's output"):
        CollectedKeys.parse(PRINTED[:length] + "\n~ $ ")


def test_remedy_is_to_send_the_file() -> None:
    for sent in (PRINTED[:-20], PRINTED.replace('"s3":', "s3:"), "~ $ "):
        with pytest.raises(CollectedKeysError, match=r"run `bash byok-keys.sh > keys.json`"):
            CollectedKeys.parse(sent)


@pytest.mark.parametrize("text", ["", "[]", "[1]", '"x"', "{}", "[" * 100_000, "9" * 5000])
def test_unrelated_text_is_refused(text: str) -> None:
    with pytest.raises(CollectedKeysError, match=r"not the script's output, which starts with \{\"format\""):
        CollectedKeys.parse(text)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"format": COLLECTION_FORMAT, "platform_role_arn": "x", "region": "y", "s3": {}, "rds": {}}, "s3.arn"),
        (build_facts(platform_role_arn="x"), "IAM role"),
        (build_facts(region="nowhere"), "'nowhere', is not an AWS Region"),
        (build_facts(region="Frankfurt"), "looks like eu-central-1"),
        (build_facts(format="byok-keys/0"), "another version"),
        (build_facts_with_s3_changes(aliases={"Aliases": ["x"]}), "s3.aliases.Aliases.0"),
        (
            build_facts_with_s3_changes(describe_key={"KeyMetadata": {"KeyState": ["x"]}}),
            "s3.describe_key.KeyMetadata.KeyState",
        ),
        (
            build_facts_with_s3_changes(describe_key={"KeyMetadata": {"DeletionDate": "soon"}}),
            "s3.describe_key.KeyMetadata.DeletionDate",
        ),
        (build_facts_with_s3_changes(describe_key="x"), "s3.describe_key"),
        (build_facts(caller=[]), "caller"),
    ],
)
def test_invalid_value_is_named(content: Facts, words: str) -> None:
    with pytest.raises(CollectedKeysError, match=words):
        CollectedKeys.parse(json.dumps(content))


@pytest.mark.parametrize("changes", [{"aliases": {"Aliases": None}}, {"tags": {"Tags": None}}, {"rotation": None}])
def test_null_is_treated_as_absent(changes: Facts) -> None:
    assert CollectedKeys.parse(json.dumps(build_facts_with_s3_changes(**changes))).s3.metadata == WHOLE.s3.metadata


@pytest.mark.parametrize("strange", ["[" * 100_000 + "]" * 100_000, "9" * 5000])
def test_unparsable_text_is_refused(strange: str) -> None:
    with pytest.raises(CollectedKeysError):
        CollectedKeys.parse(
            json.dumps(build_facts_with_s3_changes(strange=0)).replace('"strange": 0', f'"strange": {strange}')
        )
