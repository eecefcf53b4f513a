"""What any declared file is checked for: keys that stand twice, secrets, and its schema."""

from __future__ import annotations

from kwiksync_ops.declared.fault import DeclaredFile, Fault
from kwiksync_ops.declared.schema import schema_faults
from kwiksync_ops.declared.secrets import secret_faults


def content_faults(file: DeclaredFile, schema: str, *, secret_names: bool) -> list[Fault]:
    """`secret_names` also refuses values whose key alone says that they are secret.

    Where a secret stands, the schema's faults are left out: they would show it.
    """
    secrets = secret_faults(file, by_name=secret_names)
    hidden = {fault.key for fault in secrets}
    shown = [fault for fault in schema_faults(file, schema) if fault.key not in hidden]
    return [*file.double_keys, *secrets, *shown]
