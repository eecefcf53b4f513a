"""The switches of an instance: its properties, and which of two readings holds where its sources disagree."""

from __future__ import annotations

from dataclasses import dataclass

MEGABYTE = 1_048_576


@dataclass
class Settings:
    """May be changed while the instance runs.

    Attributes:
        invalid_query_returns_no_rows: `glide.invalid_query.returns_no_rows`; without it invalid parts are ignored.
        has_case_sensitive_values: the documentation says so of queries, most databases below an instance do not.
        reads_query_dates_in_user_zone: date-times in queries are the user's zone's, not UTC.
        requires_headers: calls without `Accept`, or with a body and without `Content-Type`, are refused.
        has_odd_prev_link: the `Link` of the first page names a page before it, at offset -1.
        has_unstable_ties: records that a query does not order come in another order each time.
        accepts_new_sys_id: a new record gets the `sys_id` that its body names.
        max_limit: what `sysparm_limit` is silently cut down to.
        hides_denied_tables: a table that a user may not read is empty, not refused.
        names_oauth_errors: token errors are those of RFC 6749, not always `server_error` and `access_denied`.
        allows_client_credentials: `glide.oauth.inbound.client.credential.grant_type.enabled`.
        token_lifetime_s: of an access token.
        max_payload_bytes: of the body of a call that is no batch.
        max_url_length: of a call that is no item of a batch; 414 beyond.
        batch_item_s: how long each item of a batch is said to take; those beyond `batch_time_limit_s` are left over.
        rows_per_import_poll: how many rows an asynchronous import transforms after each look at it; None is all.
        runs_imports: asynchronous imports are transformed at all.
        copies_empty_fields: a transform empties a target's field where the staging row's is empty.
        time_zone: the instance's, for users who have none.
    """

    invalid_query_returns_no_rows: bool = False
    has_case_sensitive_values: bool = True
    reads_query_dates_in_user_zone: bool = False
    requires_headers: bool = True
    has_odd_prev_link: bool = False
    has_unstable_ties: bool = False
    accepts_new_sys_id: bool = True
    max_limit: int | None = None
    hides_denied_tables: bool = False
    names_oauth_errors: bool = False
    allows_client_credentials: bool = True
    token_lifetime_s: int = 1_799
    max_payload_bytes: int = 10 * MEGABYTE
    max_url_length: int = 16_384
    batch_item_s: float = 0.0
    batch_time_limit_s: float = 30.0
    batch_max_input_bytes: int = 5 * MEGABYTE
    batch_max_output_bytes: int = 10 * MEGABYTE
    rows_per_import_poll: int | None = None
    runs_imports: bool = True
    copies_empty_fields: bool = False
    time_zone: str = "UTC"
