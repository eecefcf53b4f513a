"""What nobody wrote a test for: calls made up from the OpenAPI document, none of which may fail on our side."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.api_server import ApiServer

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 15
PATIENCE_S = 120
"""By default a call fails after ten seconds, for which a busy machine may have no time for the server."""


@pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)
def test_made_up_calls_meet_no_failure_and_no_undocumented_answer(
    server: ApiServer, ca_file: str, subtests: pytest.Subtests
) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", verify=ca_file)
    schema.config.generation.update(with_security_parameters=False)
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation, mode in itertools.product(operations, GenerationMode):
        with subtests.test(f"{operation.label} {mode}"):

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def call(case: schemathesis.Case) -> None:
                answer = case.call(headers={"Authorization": "Bearer admin-token"}, verify=ca_file, timeout=PATIENCE_S)
                case.validate_response(answer, checks=CHECKS)

            # Where anything is allowed, nothing wrong can be made up.
            with suppress(Unsatisfiable):
                call()
