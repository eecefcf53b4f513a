"""DAGs from system files. No database, network or heavy import at parse time."""

from kwiksync_ops.dag_factory.inbound import inbound_dags
from kwiksync_ops.dag_factory.maintenance import maintenance_dags
from kwiksync_ops.dag_factory.outbound import outbound_dags
from kwiksync_ops.dag_factory.verify import verify_dags

__all__ = ["inbound_dags", "maintenance_dags", "outbound_dags", "verify_dags"]
