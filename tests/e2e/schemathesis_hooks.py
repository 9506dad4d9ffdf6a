"""How schemathesis reads the keys' template: as CloudFormation does, with the short forms of its functions.

Its own reader ends at the first of them, and with it the thread that examines: every operation that would have come
after is left out, and the run is green.
"""

import schemathesis
from schemathesis.core.media_types import YAML_MEDIA_TYPES
from schemathesis.core.transport import Response

from localaws.cloudformation.template import read_template


@schemathesis.deserializer(*YAML_MEDIA_TYPES)  # all of them: the first of the family is the one that is asked
def template(_: object, response: Response) -> dict[str, object]:
    return read_template(response.content.decode()).content
