"""The outbound DAGs for Airflow: one for each system that is written to, from include/systems/*.yaml."""

from kwiksync_ops.dag_factory import outbound_dags

globals().update(outbound_dags())
