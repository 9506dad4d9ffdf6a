"""Loads a blueprint, the YAML file that defines an environment's contents."""

from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from byok.domain.blueprint import Blueprint

DEFAULT_PATH: Final = Path(__file__).with_name("default.yaml")


def load_blueprint(path: Path | None) -> Blueprint:
    """Read and validate a blueprint.

    Args:
        path: The file, or None for the default blueprint that comes with byok.

    Raises:
        ValueError: The file cannot be read, is not YAML, or fails validation. The message contains the file's name and,
            if validation failed, every invalid field.
    """
    path = path or DEFAULT_PATH
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"Cannot read the blueprint {path}: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"The blueprint {path} is not YAML: {error}") from error
    try:
        return Blueprint.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False)
        )
        raise ValueError(f"The blueprint {path} is invalid: {faults}") from error
