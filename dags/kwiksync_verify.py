"""The verifying DAGs for Airflow: one for each system that is read from, from include/systems/*.yaml."""

from kwiksync_ops.dag_factory import verify_dags

globals().update(verify_dags())
