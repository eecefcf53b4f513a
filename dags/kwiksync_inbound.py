"""The inbound DAGs for Airflow: one a system, from include/systems/*.yaml."""

from kwiksync_ops.dag_factory import inbound_dags

globals().update(inbound_dags())
