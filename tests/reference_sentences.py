"""List sentences from the documentation of AWS and Temporal, with which readers can compare byok's sentences.

The documentation comes with packages that byok uses: botocore has AWS's API references, and `temporalio` has
docstrings.
"""

import ast
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import botocore.session
import temporalio

from tests.sentences import split_into_sentences

_AWS_SERVICES: Final = ("cloudformation", "events", "iam", "kms", "rds", "s3", "sts")
_BLOCK_TAG: Final = re.compile(r"</?(?:p|li|ul|ol|dt|dd|dl|note|important)[^>]*>")
_LONGEST: Final = 45
"""The maximum number of words. A longer text is usually a list that lost its layout."""


def list_aws_sentences() -> list[str]:
    """List the sentences in AWS's API references for the services that byok calls."""
    loader = botocore.session.get_session().get_component("data_loader")
    models = [loader.load_service_model(service, "service-2") for service in _AWS_SERVICES]
    texts = (text for model in models for text in _find_documentation(model))
    return _list_sentences(_BLOCK_TAG.sub("\n\n", text) for text in texts)


def list_temporal_sentences() -> list[str]:
    """List the sentences in the docstrings of Temporal's Python SDK, without its generated code."""
    folder = Path(temporalio.__file__).parent
    files = [file for file in folder.rglob("*.py") if "api" not in file.relative_to(folder).parts]
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return _list_sentences(
        re.sub(r"\n\s*(?=\w+: )", "\n\n", text)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, documented) and (text := ast.get_docstring(node))
    )


def _find_documentation(model: Any) -> Iterator[str]:
    match model:
        case dict():
            for name, value in model.items():
                if name == "documentation" and isinstance(value, str):
                    yield value
                else:
                    yield from _find_documentation(value)
        case list():
            for value in model:
                yield from _find_documentation(value)


def _list_sentences(texts: Iterator[str]) -> list[str]:
    """List each sentence once, without tags and with normalised white space, in alphabetical order."""
    plain = (html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"</?code>", "`", text))) for text in texts)
    paragraphs = (paragraph for text in plain for paragraph in re.split(r"\n\s*\n", text))
    found = {sentence for paragraph in paragraphs for sentence in split_into_sentences([paragraph])}
    return sorted(sentence for sentence in found if len(sentence.split()) <= _LONGEST)
