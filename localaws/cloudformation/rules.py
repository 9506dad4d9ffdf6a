"""The Rules section: assertions about the parameters, checked before anything is created or changed.

Sources: CloudFormation user guide, "CloudFormation template Rules syntax"; template reference, "Rule functions". A rule
accepts only `Ref` and rule functions, as in AWS, which rejects `Fn::If` and `Condition` (issues 921 and 1183 of
aws-cloudformation/cloudformation-coverage-roadmap). The reference does not say that `Ref` accepts pseudo parameters,
but published templates rely on it. The functions that look up parameters of AWS's own types (`Fn::RefAll`,
`Fn::ValueOf`, `Fn::ValueOfAll`) are not modelled.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from byok.domain.arns import partition_of_region
from localaws.call import Call, not_modelled_error
from localaws.cloudformation.parameters import split_list_parameters
from localaws.cloudformation.template import Template, validation_error
from localaws.cloudformation.values import to_text

_MEMBERS: Final = frozenset({"RuleCondition", "Assertions"})
_ASSERTION: Final = frozenset({"Assert", "AssertDescription"})
_PSEUDO: Final = frozenset({"AWS::AccountId", "AWS::Partition", "AWS::Region"})
_NOT_MODELLED: Final = frozenset({"Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll"})


def check_syntax(template: Template) -> None:
    """Check the structure of the Rules section, and that its rules use only `Ref` and rule functions.

    Raises:
        AwsError: `ValidationError` if the section is invalid, or `NotImplemented` for functions that are not modelled.
    """
    for name, rule in template.section("Rules").items():
        where = f"Template format error: [/Rules/{name}]"
        if not isinstance(rule, dict) or not set(rule) <= _MEMBERS:
            raise validation_error(f"{where} A rule has {', '.join(sorted(_MEMBERS))} and no other member.")
        assertions = rule.get("Assertions")
        if not isinstance(assertions, list) or not assertions:
            raise validation_error(f"{where} Every Rules object must contain a list of Assertions.")
        for assertion in assertions:
            if not isinstance(assertion, dict) or "Assert" not in assertion or not set(assertion) <= _ASSERTION:
                raise validation_error(f"{where} Every assertion has an Assert, and may have an AssertDescription.")
            _check_test(template, assertion["Assert"], where)
        if "RuleCondition" in rule:
            _check_test(template, rule["RuleCondition"], where)


def check_assertions(call: Call, template: Template, parameters: Mapping[str, str]) -> None:
    """Check every assertion of every rule whose condition is true.

    Raises:
        AwsError: `ValidationError` with the assertion's description. We found no recording of the text that
            CloudFormation adds before and after the description.
    """
    scope: dict[str, Any] = {
        "AWS::AccountId": call.caller.account,
        "AWS::Partition": partition_of_region(call.region),
        "AWS::Region": call.region,
        **split_list_parameters(template, parameters),
    }
    for name, rule in template.section("Rules").items():
        if not _value(rule.get("RuleCondition", True), scope):
            continue
        for assertion in rule["Assertions"]:
            if not _value(assertion["Assert"], scope):
                told = assertion.get("AssertDescription", "an assertion is false")
                raise validation_error(f"Template error: Rule {name} failed: {told}")


def _check_test(template: Template, test: Any, where: str) -> None:
    function = _function_of(test)
    if function not in _TESTS and function not in _NOT_MODELLED:
        raise validation_error(f"{where} A rule needs a rule-specific intrinsic function that is true or false.")
    _check_value(template, test, where)


def _check_value(template: Template, value: Any, where: str) -> None:
    if isinstance(value, list):
        for one in value:
            _check_value(template, one, where)
    if not isinstance(value, dict):
        return
    function = _function_of(value)
    if function in _NOT_MODELLED:
        raise not_modelled_error(f"the function {function} in a rule")
    if function == "Ref":
        name = value["Ref"]
        if name not in template.section("Parameters") and name not in _PSEUDO:
            raise validation_error(f"{where} Unresolved reference {name}: a rule can refer only to parameters.")
        return
    if function not in _TESTS:
        raise validation_error(f"{where} Unsupported in a rule: {function or ', '.join(map(str, value))}")
    least, most = _ARGUMENTS[function]
    arguments = value[function]
    if not isinstance(arguments, list) or not least <= len(arguments) <= most:
        number = f"{least}" if least == most else f"{least} to {most}"
        raise validation_error(f"Template error: every {function} object requires a list of {number} parameters.")
    for one in arguments:
        if function in _OF_TESTS:
            _check_test(template, one, where)
        else:
            _check_value(template, one, where)


def _function_of(value: Any) -> str:
    return str(next(iter(value))) if isinstance(value, dict) and len(value) == 1 else ""


def _value(given: Any, scope: Mapping[str, Any]) -> Any:
    if isinstance(given, list):
        return [_value(one, scope) for one in given]
    if not isinstance(given, dict):
        return given
    function = _function_of(given)
    if function == "Ref":
        return scope[given["Ref"]]
    return _TESTS[function](*(_value(one, scope) for one in given[function]))


def _as_list(value: Any) -> list[str]:
    return [to_text(one) for one in value] if isinstance(value, list) else [to_text(value)]


_TESTS: Final[dict[str, Callable[..., bool]]] = {
    "Fn::And": lambda *tests: all(tests),
    "Fn::Or": lambda *tests: any(tests),
    "Fn::Not": lambda test: not test,
    "Fn::Equals": lambda left, right: _as_list(left) == _as_list(right),
    "Fn::Contains": lambda values, one: to_text(one) in _as_list(values),
    "Fn::EachMemberEquals": lambda values, one: all(value == to_text(one) for value in _as_list(values)),
    "Fn::EachMemberIn": lambda values, others: set(_as_list(values)) <= set(_as_list(others)),
}
_OF_TESTS: Final = frozenset({"Fn::And", "Fn::Or", "Fn::Not"})
_ARGUMENTS: Final = dict.fromkeys(_TESTS, (2, 2)) | {"Fn::And": (2, 10), "Fn::Or": (2, 10), "Fn::Not": (1, 1)}
