"""What data sets of systems are called."""

from __future__ import annotations

import pytest

from kwiksync_ops.services.lineage import DataSet, data_set_of


@pytest.mark.parametrize(
    ("base_url", "kind", "source", "namespace", "name"),
    [
        ("https://erp.example.com/api/", "rest", "/tickets", "https://erp.example.com", "api/tickets"),
        ("https://user:word@erp.example.com:8443", "odata", "Orders", "https://erp.example.com:8443", "Orders"),
        ("postgresql+psycopg://db:5432/erp", "sql", "public.orders", "postgres://db:5432", "erp.public.orders"),
        ("mariadb+pymysql://ann:word@db/erp", "sql", "orders", "mysql://db", "erp.orders"),
        ("file:///data/in", "files", "orders-*.csv", "file", "/data/in/orders-*.csv"),
        ("s3://bucket/in", "files", "orders.csv", "s3://bucket", "in/orders.csv"),
        ("sftp://host:22/in", "files", "orders.csv", "sftp://host:22", "in/orders.csv"),
    ],
)
def test_a_data_set_is_called_as_others_call_it(
    base_url: str, kind: str, source: str, namespace: str, name: str
) -> None:
    assert data_set_of(base_url, kind, source) == DataSet(namespace, name)
