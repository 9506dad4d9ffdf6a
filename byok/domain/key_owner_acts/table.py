"""The key owner's actions, and the table with one cell for each combination of action and resource."""

from typing import Final

from byok.domain.key_owner_acts.cells import (
    DISABLED,
    INVALID_STATE,
    NOT_ACCESSIBLE,
    build_denied_cells,
    build_unaffected_cells,
    build_unusable_cells,
)
from byok.domain.key_owner_acts.model import Act, ActFacts, Cell, Resource, Source
from byok.domain.key_owner_acts.special_rows import DELETED_CELLS, ENABLED_CELLS, REVOKED_CELLS

_AFTER_A_STATEMENT: Final = (
    "A running cluster is not affected. If you want to stop access to the data, disable the key."
)

ACTS: Final[dict[Act, ActFacts]] = {
    Act.DISABLE: ActFacts(
        "Disable the key",
        ("DisableKey",),
        "This action stops access to the data and can be undone. The encrypted data stays in place.",
        NOT_ACCESSIBLE,
        undoable=True,
    ),
    Act.ENABLE: ActFacts(
        "Enable the key again",
        ("EnableKey",),
        "In this table, the key is disabled before the action. S3 recovers without further steps. An Aurora "
        "cluster that has lost access to its key does not recover by itself: the vendor must start it within 7 days "
        "after the loss.",
    ),
    Act.SCHEDULE_DELETION: ActFacts(
        "Schedule the deletion of the key",
        ("ScheduleKeyDeletion",),
        "Once the deletion is scheduled, the key cannot be used. KMS deletes the key when the waiting period of 7 to "
        "30 days ends. An Aurora cluster can be recovered for only 7 days, even if the waiting period is longer.",
        NOT_ACCESSIBLE,
        undoable=True,
    ),
    Act.CANCEL_DELETION: ActFacts(
        "Cancel the deletion of the key",
        ("CancelKeyDeletion",),
        "In this table, the key is pending deletion before the action. After the cancellation, the key is disabled, so "
        "nothing works until you also enable the key.",
        NOT_ACCESSIBLE,
        undoable=True,
    ),
    Act.DELETE_KEY: ActFacts(
        "KMS deletes the key",
        (),
        "KMS deletes the key at the end of the waiting period, without another API call. All data that the key "
        "encrypts, including all backups, becomes permanently unreadable.",
        NOT_ACCESSIBLE,
    ),
    Act.REMOVE_STATEMENTS: ActFacts(
        "Remove the platform's statements from the key policy",
        ("PutKeyPolicy",),
        _AFTER_A_STATEMENT,
        NOT_ACCESSIBLE,
        undoable=True,
    ),
    Act.CHANGE_REGION: ActFacts(
        "Change the Region in the platform's statements",
        ("PutKeyPolicy",),
        "The condition on `kms:ViaService` contains the Region. With another Region, the statements allow nothing in "
        f"the environment's Region. {_AFTER_A_STATEMENT}",
        NOT_ACCESSIBLE,
        undoable=True,
    ),
    Act.CHANGE_PRINCIPAL: ActFacts(
        "Change the principal in the platform's statements",
        ("PutKeyPolicy",),
        f"With another principal, the statements no longer apply to the platform role. {_AFTER_A_STATEMENT}",
        NOT_ACCESSIBLE,
        undoable=True,
    ),
    Act.DENY: ActFacts(
        "Add an explicit Deny for the platform role",
        ("PutKeyPolicy",),
        "Name only the platform role in the Deny: a Deny for every principal also affects your own administrators. "
        f"{_AFTER_A_STATEMENT}",
        NOT_ACCESSIBLE,
        undoable=True,
    ),
    Act.REVOKE_GRANT: ActFacts(
        "Revoke RDS's grant on the Aurora key",
        ("ListGrants", "RevokeGrant"),
        "Do not revoke the grant to stop access temporarily, because KMS cannot restore a revoked grant. Disable the "
        "key instead.",
    ),
    Act.DELETE_KEY_MATERIAL: ActFacts(
        "Delete imported key material",
        ("DeleteImportedKeyMaterial",),
        "You can delete key material only if you imported it (origin `EXTERNAL`). Keep a copy of the key "
        "material: only the same key material makes the key usable again. The effects are the same when imported key "
        "material expires.",
        NOT_ACCESSIBLE,
        undoable=True,
    ),
    Act.ROTATE: ActFacts(
        "Rotate the key",
        ("EnableKeyRotation", "RotateKeyOnDemand"),
        "KMS rotates the key automatically, by default once a year, or immediately on demand. KMS keeps the earlier "
        "key material and decrypts existing data with it. The key's id, ARN, policy and grants stay the same.",
    ),
    Act.MOVE_ALIAS: ActFacts(
        "Move an alias to another key",
        ("UpdateAlias",),
        "S3, RDS and byok use the key's ARN and never an alias. byok refuses an alias when an environment is created.",
    ),
    Act.CHANGE_TAG: ActFacts(
        "Change a tag of the key",
        ("TagResource", "UntagResource"),
        "None of the platform's statements depends on a tag of the key. If you added a condition on `aws:ResourceTag` "
        "yourself, a changed tag can take up to five minutes to affect authorization.",
    ),
}
"""The facts about each action, in the same order as in docs/what-happens-when.md."""

_ALIAS_SAYS: Final = "Nothing. `byok tenant` reports a conflict if the tenant alias points to another key."

_CELLS_OF_ACT: Final[dict[Act, dict[Resource, Cell]]] = {
    Act.DISABLE: build_unusable_cells(
        DISABLED, "the key is disabled", "enable the key (`EnableKey`)", (Source.K1, Source.O3)
    ),
    Act.ENABLE: ENABLED_CELLS,
    Act.SCHEDULE_DELETION: build_unusable_cells(
        INVALID_STATE,
        "the key is pending deletion",
        "before the waiting period ends, cancel the deletion (`CancelKeyDeletion`) and enable the key (`EnableKey`)",
        (Source.K4, Source.O3),
    ),
    Act.CANCEL_DELETION: build_unusable_cells(
        DISABLED, "the key is disabled", "enable the key (`EnableKey`)", (Source.K3, Source.O3), already=True
    ),
    Act.DELETE_KEY: DELETED_CELLS,
    Act.REMOVE_STATEMENTS: build_denied_cells("add the statements again (`byok policy merge` prints the new policy)"),
    Act.CHANGE_REGION: build_denied_cells("change the Region back"),
    Act.CHANGE_PRINCIPAL: build_denied_cells("change the principal back to the platform role's ARN"),
    Act.DENY: build_denied_cells("remove the Deny statement", Source.K10),
    Act.REVOKE_GRANT: REVOKED_CELLS,
    Act.DELETE_KEY_MATERIAL: build_unusable_cells(
        INVALID_STATE,
        "the key is pending import",
        "import the same key material again (`ImportKeyMaterial`)",
        (Source.K5, Source.O1),
    ),
    Act.ROTATE: build_unaffected_cells(
        "KMS decrypts existing data with the earlier key material.",
        "KMS encrypts new data with the new key material.",
        "A rotation cannot be undone, and does not need to be.",
        Source.K6,
    ),
    Act.MOVE_ALIAS: build_unaffected_cells(
        "The key stays the same, because no resource refers to the alias.",
        "The key stays the same, because the bucket's default encryption contains the key's ARN.",
        "Yes: move the alias back (`UpdateAlias`).",
        Source.K8,
        says=_ALIAS_SAYS,
    ),
    Act.CHANGE_TAG: build_unaffected_cells(
        "The key stays the same, and no statement depends on the tag.",
        "The key stays the same, and no statement depends on the tag.",
        "Yes: change the tag back (`TagResource`).",
        Source.K9,
    ),
}

CELLS: Final[dict[tuple[Act, Resource], Cell]] = {
    (act, resource): _CELLS_OF_ACT[act][resource] for act in Act for resource in Resource
}
"""The table in docs/what-happens-when.md, with one cell for each combination of action and resource."""
