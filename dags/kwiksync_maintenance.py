"""The maintaining DAGs for Airflow: log clean-up, the audit trail's anchor, and the watch over missed syncs."""

from kwiksync_ops.dag_factory import maintenance_dags

globals().update(maintenance_dags())
