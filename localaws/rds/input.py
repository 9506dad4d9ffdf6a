"""RDS's validation of the input, before any check of keys: identifiers, required values, and combinations of values.

The rules depend only on the decoded parameters. The limits come from botocore's RDS model (the API reference). Messages
marked *recorded* were reported verbatim by users of AWS. All other errors have AWS's code and our own message.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from localaws.call import AwsError

ENGINE_DEFAULTS: Final = {"aurora-postgresql": ("17.5", 5432), "aurora-mysql": ("8.0.mysql_aurora.3.10.0", 3306)}
"""The modelled engines, with the default version and port of a cluster."""

SERVERLESS_INSTANCE_CLASS: Final = "db.serverless"

_IDENTIFIER: Final = re.compile(r"[A-Za-z](?:-?[A-Za-z0-9])*")
_IDENTIFIER_LENGTH: Final = 63
_SNAPSHOT_LENGTH: Final = 255
_USERNAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_PASSWORD: Final = re.compile(r"[\x20-\x7e]{8,99}")
_RESERVED_USERNAMES: Final = frozenset({"admin", "rdsadmin", "rdsrepladmin", "rds_superuser"})
_BACKUP_DAYS: Final = range(1, 36)
_INSIGHTS_DAYS: Final = frozenset({7, 731, *(31 * month for month in range(1, 24))})
_ADVANCED_INSIGHTS_DAYS: Final = 465
_MAX_TAGS: Final = 50
_MAX_CAPACITY: Final = 256

_Params = Mapping[str, Any]


def invalid_value_error(message: str) -> AwsError:
    """Return RDS's error for an invalid value."""
    return AwsError("InvalidParameterValue", message)


def invalid_combination_error(message: str) -> AwsError:
    """Return RDS's error for incompatible values."""
    return AwsError("InvalidParameterCombination", message)


def parse_identifier(params: _Params, name: str, *, longest: int = _IDENTIFIER_LENGTH) -> str:
    """Return the identifier under `name` in lower case, as RDS stores it.

    Raises:
        AwsError: `InvalidParameterValue`, with the text recorded from AWS, if the identifier is invalid.
    """
    value = str(params.get(name) or "")
    if not _IDENTIFIER.fullmatch(value):
        raise invalid_value_error(
            f"The parameter {name} is not a valid identifier. Identifiers must begin with a letter; must contain only "
            "ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
        )
    if len(value) > longest:
        raise invalid_value_error(
            f"The parameter {name} is not a valid identifier because it is longer than {longest} characters."
        )
    return value.lower()


def parse_snapshot_identifier(params: _Params, name: str) -> str:
    """Return the identifier of a manual snapshot."""
    return parse_identifier(params, name, longest=_SNAPSHOT_LENGTH)


def check_tags(tags: list[dict[str, str]]) -> None:
    """Reject tags with the reserved prefix, duplicate tag keys, and more than fifty tags.

    Raises:
        AwsError: `InvalidParameterValue`.
    """
    keys = [tag.get("Key", "") for tag in tags]
    if any(key.lower().startswith("aws:") for key in keys):
        raise invalid_value_error("Tag keys with the prefix aws: are reserved for AWS internal use.")
    if len(keys) != len(set(keys)):
        raise invalid_value_error("Duplicate tag keys are not allowed.")
    if len(keys) > _MAX_TAGS:
        raise invalid_value_error(f"A resource can have at most {_MAX_TAGS} tags.")


def check_new_cluster(params: _Params) -> None:
    """Check the input of CreateDBCluster, except the keys.

    Raises:
        AwsError: `InvalidParameterValue` or `InvalidParameterCombination`.
    """
    if params.get("Engine") not in ENGINE_DEFAULTS:
        raise invalid_value_error(
            f"Invalid DB engine: {params.get('Engine')}. Modelled here: {', '.join(ENGINE_DEFAULTS)}."
        )
    if params.get("EngineMode", "provisioned") != "provisioned":
        raise invalid_value_error("Only EngineMode provisioned is modelled, which Aurora Serverless v2 uses too.")
    if params.get("BackupRetentionPeriod", 1) not in _BACKUP_DAYS:
        raise invalid_value_error(
            f"Invalid backup retention period: {params['BackupRetentionPeriod']}. Must be between 1 and 35 days."
        )
    if params.get("KmsKeyId") and not params.get("StorageEncrypted"):
        # The CloudFormation reference for AWS::RDS::DBCluster says that if you set KmsKeyId, "you must set the
        # StorageEncrypted property".
        raise invalid_combination_error("KmsKeyId can be specified only when StorageEncrypted is true.")
    check_tags(params.get("Tags", []))
    _check_master_user(params)
    check_performance_insights(params)
    check_serverless_capacity(params.get("ServerlessV2ScalingConfiguration"))


def _check_master_user(params: _Params) -> None:
    user = params.get("MasterUsername")
    if not user:
        raise invalid_value_error(
            "The parameter MasterUsername must be provided and must not be blank."
        )  # recorded (moto)
    if not _USERNAME.fullmatch(user):
        raise invalid_value_error("The parameter MasterUsername is not a valid identifier.")
    if params["Engine"] == "aurora-postgresql" and user.lower() in _RESERVED_USERNAMES:
        raise invalid_value_error(
            f"MasterUsername {user} cannot be used as it is a reserved word used by the engine"
        )  # recorded
    password, managed = params.get("MasterUserPassword"), bool(params.get("ManageMasterUserPassword"))
    if params.get("MasterUserSecretKmsKeyId") and not managed:
        raise invalid_combination_error(
            "MasterUserSecretKmsKeyId can be specified only when ManageMasterUserPassword is true."
        )
    if params.get("MasterUserAuthenticationType", "password") == "iam-db-auth":
        _check_iam_master_user(params, with_password=bool(password) or managed)
    elif managed:
        if password:
            raise invalid_combination_error(
                "You can't specify MasterUserPassword when ManageMasterUserPassword is true."
            )
    elif not password:
        raise invalid_value_error(
            "The parameter MasterUserPassword must be provided and must not be blank."
        )  # recorded (moto)
    else:
        _check_password(password)


def check_new_password(params: _Params, *, managed: bool) -> None:
    """Check ModifyDBCluster's new password, which is not stored because there is no database to log in to.

    Args:
        params: The input.
        managed: Whether RDS manages the password. If true, the call must not specify a password (botocore's rds model).

    Raises:
        AwsError: `InvalidParameterCombination` or `InvalidParameterValue`.
    """
    password = params.get("MasterUserPassword")
    if password is None:
        return
    if managed:
        raise invalid_combination_error("You can't specify MasterUserPassword when ManageMasterUserPassword is true.")
    _check_password(password)


def _check_password(password: str) -> None:
    if not _PASSWORD.fullmatch(password) or any(character in password for character in '/"@ '):
        raise invalid_value_error(
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides "
            "'/', '@', '\"', ' ' may be used, and it must contain at least 8 characters."
        )


def _check_iam_master_user(params: _Params, *, with_password: bool) -> None:
    """Check the combinations that the Terraform provider's authors tested against the live API (pull request 49670)."""
    if params["Engine"] != "aurora-postgresql":
        raise invalid_combination_error(
            "MasterUserAuthenticationType iam-db-auth is supported only for PostgreSQL engines."
        )
    if with_password:
        raise invalid_combination_error(
            "iam-db-auth can't be combined with MasterUserPassword or ManageMasterUserPassword."
        )
    if not params.get("EnableIAMDatabaseAuthentication"):
        raise invalid_combination_error(
            "MasterUserAuthenticationType iam-db-auth requires EnableIAMDatabaseAuthentication."
        )


def check_performance_insights(params: _Params, *, switch: str = "EnablePerformanceInsights") -> None:
    """Check the input against the rules for Performance Insights and Database Insights.

    Raises:
        AwsError: `InvalidParameterCombination` or `InvalidParameterValue`.
    """
    on = bool(params.get(switch))
    days = params.get("PerformanceInsightsRetentionPeriod")
    if not on and (params.get("PerformanceInsightsKMSKeyId") or days):
        raise invalid_combination_error(
            "To enable Performance Insights, EnablePerformanceInsights must be set to 'true'"
        )
    if days is not None and days not in _INSIGHTS_DAYS:
        raise invalid_value_error(f"Invalid Performance Insights retention period: {days}.")
    if params.get("DatabaseInsightsMode") == "advanced" and (not on or days != _ADVANCED_INSIGHTS_DAYS):
        raise invalid_combination_error(
            "DatabaseInsightsMode advanced requires Performance Insights with a retention of 465 days."
        )


def check_serverless_capacity(scaling: _Params | None) -> None:
    """Check the input against the rules for ServerlessV2ScalingConfiguration.

    Raises:
        AwsError: `InvalidParameterValue`.
    """
    if scaling is None:
        return
    low, high = scaling.get("MinCapacity"), scaling.get("MaxCapacity")
    if low is None or high is None:
        raise invalid_value_error(  # recorded
            "Both MinCapacity and MaxCapacity must be specified when you initialize Serverless v2 scaling "
            "configuration."
        )
    if not 0 <= low <= high <= _MAX_CAPACITY or high < 1 or (low * 2) % 1 or (high * 2) % 1:
        raise invalid_value_error(f"Serverless v2 capacity {low} to {high} is not valid; use 0 to 256 in steps of 0.5.")
