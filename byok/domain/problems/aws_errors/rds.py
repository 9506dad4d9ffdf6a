"""Rules for RDS errors (sources: botocore's RDS model, RDS API reference "Common errors")."""

import re
from typing import Final

from byok.domain.problems.aws_errors.rule import (
    HOLD,
    RETRY,
    STOP,
    STOP_AFTER_GRACE,
    ErrorOutcome,
    ErrorRule,
    error_rules,
    key_error_rule,
)
from byok.domain.problems.remediation import Remedy

# RDS returns the same error code for every problem with a key. The message contains the key in brackets: `[null]` and
# `[alias/aws/…]` stand for default keys in the platform's account, so the customer is not at fault (source: recorded
# responses).
RDS_KEY_ERROR_RULES: Final = (
    key_error_rule(
        "rds",
        "KMSKeyNotAccessibleFault",
        STOP,
        Remedy.PLATFORM_KEY,
        r"\[(null|[^\]]*alias/aws/[^\]]*)\]",
        customer=False,
    ),
    key_error_rule("rds", "KMSKeyNotAccessibleFault", STOP_AFTER_GRACE, Remedy.RDS_KEY),
)

RDS_ERROR_RULES: Final = (
    *error_rules(
        "rds", ErrorOutcome.EXISTS, Remedy.NAME_TAKEN, "DBClusterAlreadyExistsFault", "DBInstanceAlreadyExists"
    ),
    *error_rules(
        "rds",
        ErrorOutcome.ABSENT,
        Remedy.WAIT,
        "DBClusterNotFoundFault",
        "DBClusterSnapshotNotFoundFault",
        "DBInstanceNotFound",
    ),
    # RDS might not recognise a new role immediately (Terraform's AWS provider also retries an error with this text).
    ErrorRule(
        "rds",
        "InvalidParameterValue",
        STOP_AFTER_GRACE,
        Remedy.PLATFORM_PERMISSION,
        message=re.compile(r"IAM role ARN value"),
    ),
    *error_rules(
        "rds",
        RETRY,
        Remedy.WAIT,
        "InvalidDBCapacityReservationState",
        "InvalidDBClusterSnapshotStateFault",
        "InvalidDBClusterStateFault",
        "InvalidDBInstanceState",
        "InvalidDBShardGroupState",
        "InvalidDBSubnetGroupStateFault",
        "InvalidGlobalClusterStateFault",
        "PriorRequestNotComplete",
    ),
    # If botocore cannot parse a response, it uses the HTTP status as the error code (`botocore.parsers`).
    *error_rules(
        "rds",
        HOLD,
        Remedy.WAIT,
        "500",
        "502",
        "503",
        "504",
        "InsufficientDBInstanceCapacity",
        "InsufficientStorageClusterCapacity",
        "InternalFailure",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
    ),
    *error_rules(
        "rds",
        STOP,
        Remedy.QUOTA,
        "DBClusterAutomatedBackupQuotaExceededFault",
        "DBClusterQuotaExceededFault",
        "DBClusterRoleQuotaExceeded",
        "DBInstanceAutomatedBackupQuotaExceeded",
        "InstanceQuotaExceeded",
        "SnapshotQuotaExceeded",
        "StorageQuotaExceeded",
        "TenantDatabaseQuotaExceeded",
    ),
    *error_rules(
        "rds", STOP, Remedy.PLATFORM_PERMISSION, "AccessDenied", "AccessDeniedException", "AuthorizationNotFound"
    ),
    *error_rules(
        "rds",
        HOLD,
        Remedy.PLATFORM_CREDENTIALS,
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
    ),
    *error_rules(
        "rds",
        STOP,
        Remedy.PLATFORM_OPERATOR,
        "BackupPolicyNotFoundFault",
        "CertificateNotFound",
        "DBCapacityReservationNotFound",
        "DBClusterParameterGroupNotFound",
        "DBClusterSnapshotAlreadyExistsFault",
        "DBParameterGroupNotFound",
        "DBSecurityGroupNotFound",
        "DBSnapshotAlreadyExists",
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        "DBSubnetGroupNotFoundFault",
        "DomainNotFoundFault",
        "GlobalClusterNotFoundFault",
        "InvalidDBSecurityGroupState",
        "InvalidDBSubnetGroupFault",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "InvalidSubnet",
        "InvalidVPCNetworkStateFault",
        "MissingParameter",
        "NetworkTypeNotSupported",
        "OptionGroupNotFoundFault",
        "ProvisionedIopsNotAvailableInAZFault",
        "StorageTypeNotAvailableFault",
        "StorageTypeNotSupported",
        "ValidationError",
        "VpcEncryptionControlViolationException",
    ),
)
