"""Make schemathesis parse the keys template as CloudFormation does, including the short forms of its functions.

Its own parser fails at the first short form and ends the test thread: all later operations are skipped, and the run
still passes.
"""

import schemathesis
from schemathesis.core.media_types import YAML_MEDIA_TYPES
from schemathesis.core.transport import Response

from localaws.cloudformation.template import parse_template


@schemathesis.deserializer(*YAML_MEDIA_TYPES)  # all of them: schemathesis uses the first of the family
def deserialize_template(_: object, response: Response) -> dict[str, object]:
    return parse_template(response.content.decode()).content
