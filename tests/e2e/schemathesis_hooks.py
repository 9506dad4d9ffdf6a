"""Make schemathesis check the keys template as CloudFormation does, including short forms such as `!Sub`.

Without these hooks, schemathesis's parser fails at the first short form and ends the test thread. The run then skips
all later operations, but still passes.
"""

import schemathesis
from schemathesis.core.media_types import YAML_MEDIA_TYPES
from schemathesis.core.transport import Response

from localaws.cloudformation.template import parse_template


@schemathesis.deserializer(*YAML_MEDIA_TYPES)  # register all YAML media types, to replace schemathesis's deserializer
def deserialize_template(_: object, response: Response) -> str:
    """Return the text, because the OpenAPI document describes the template as a string. The text must be a template."""
    text = response.content.decode()
    parse_template(text)
    return text
