"""`connect`: from a connection to a system's files, against the sample ERP and against databases."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.cli.conftest import INCLUDE, START, Answer, Cli, assert_fits, connection_of
from tests.support.sample_erp import CUSTOMER_KEY, SampleErp

TABLES = {
    "locations": "locations",
    "projects": "projects",
    "tickets": "tickets",
    "tasks": "kw_corp_ticket_tasks",
    "assets": "assets",
    "deliverables": "deliverables",
}
AGREEMENT = 0.8
CANARY = "c4nary-s3cret-0123456789"


@pytest.fixture
def neo(applied: Cli, running_erp: SampleErp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """The sample ERP as a system that nobody has set up: it has a connection, and its Customer Key lies in a file."""
    running_erp.move_clock(now=START)
    extra = {"allow_hosts": ["localhost", "127.0.0.1"]}
    monkeypatch.setenv("AIRFLOW_CONN_KWIKSYNC_NEO", connection_of(running_erp, extra=extra))
    (tmp_path / "key").write_text(CUSTOMER_KEY + "\n")
    return applied


def objects(*names: str) -> list[str]:
    return [word for name in names for word in ("--object", f"/api/v1/{name}")]


def words(cli: Cli, *more: str) -> tuple[str, ...]:
    known = ("--name", "neo", "--connection", "kwiksync_neo", "--customer-key-file", str(cli.include.parent / "key"))
    return ("connect", "rest", *known, *more)


def written(cli: Cli, name: str = "neo") -> list[str]:
    found = [*cli.include.rglob(f"{name}.y*ml"), *(cli.include / "mappings" / name).rglob("*")]
    return sorted(str(path.relative_to(cli.include)) for path in found)


def rules_of(path: Path) -> dict[tuple[str, str], str]:
    """The transform of each source and target field."""
    fields = json.loads(path.read_text())["fields"]
    return {(rule["source_field"], rule["target_field"]): rule["transform"] for rule in fields}


def test_for_the_sample_erp_it_proposes_what_people_wrote_for_it(neo: Cli) -> None:
    answer = neo.ok(*words(neo, "--json", *objects(*TABLES)))
    proposed = {table["table"]: table for table in answer.json["tables"]}
    assert list(proposed) == list(TABLES.values())
    for table, found in proposed.items():
        theirs = rules_of(INCLUDE / "mappings" / "erp" / f"{table}.json")
        ours = rules_of(neo.include / "mappings" / "neo" / f"{table}.json")
        agreed = [pair for pair, transform in theirs.items() if ours.get(pair) == transform]
        assert len(agreed) / len(theirs) >= AGREEMENT, (table, sorted(theirs.keys() - agreed))
        assert all(field["reason"] and 0.5 <= field["score"] <= 1 for field in found["fields"])
        assert len(found["preview"]["records"]) == 10
        assert found["preview"]["rejected"] == 0
    assert_same_system(neo)


def assert_same_system(neo: Cli) -> None:
    """Keys, cursors and ways of paging are those that people wrote."""
    theirs = yaml.safe_load((INCLUDE / "systems" / "erp.yaml").read_text())
    ours = yaml.safe_load((neo.include / "systems" / "neo.yaml").read_text())
    assert (ours["kind"], ours["connection"], ours["direction"]) == ("rest", "kwiksync_neo", "inbound")
    assert ours["rest"]["records_path"] == theirs["rest"]["records_path"]
    assert ours["rest"]["since_param"] == theirs["rest"]["since_param"]
    for mine, other in zip(ours["tables"], theirs["tables"], strict=True):
        cursor = {name: other["cursor"][name] for name in ("field", "format")}
        assert (mine["table"], mine["source"], mine["key"]) == (other["table"], other["source"], other["key"])
        assert mine["cursor"] == cursor
        assert mine["rest"]["pagination"]["type"] == other["rest"]["pagination"]["type"]


def test_what_it_writes_is_planned_applied_and_synced_as_it_is(neo: Cli, running_erp: SampleErp) -> None:
    neo.ok(*words(neo, "--yes", *objects("locations", "projects", "tickets")))
    planned = neo.ok("plan", "neo", "--json").json
    assert {table["action"] for table in planned["tables"]} == {"new"}
    neo.ok("apply", "neo")
    assert neo("sync", "neo").code == 3
    for name in ("locations", "projects", "tickets"):
        truth = len(running_erp.truth(name))
        held = neo.ok("records", name, "--where", "source_system=neo", "--json").json["total"]
        assert truth * 0.99 <= held <= truth


def test_the_customer_key_is_stored_for_the_system_and_never_shown(neo: Cli) -> None:
    answer = neo.ok(*words(neo, "--yes", *objects("projects")))
    keys = neo.ok("keys", "list", "--json").json["keys"]
    assert [key["system"] for key in keys if key["is_active"]] == ["neo"]
    assert CUSTOMER_KEY not in answer.out + answer.err
    assert all(
        CUSTOMER_KEY not in (neo.include / path).read_text() for path in written(neo) if path.endswith(("yaml", "json"))
    )


def test_a_person_sees_the_proposal_with_reasons_and_a_preview(neo: Cli) -> None:
    answer = neo.ok(*words(neo, "--yes", *objects("projects")))
    for said in (
        "✓ https://",
        "projects ← /api/v1/projects",
        "project_id",
        "value_map",
        "10 records through the mapping",
        "P-ARC-12015-1  taken",
        "HIGH → 2",
        "Not used",
        "kwiksync plan neo",
    ):
        assert said in answer.out, said
    fields = answer.out.split("/api/v1/projects\n")[1].split("\n\n")[0].splitlines()
    assert fields[0].split("  ")[0] == "Field"
    assert {tuple(line.split()[:3]) for line in fields} >= {
        ("project_id", "string", "100%"),
        ("start_date", "date", "100%"),
        ("percent_complete", "decimal", "100%"),
        ("manager", "string", "37%"),
    }
    assert_fits(answer.out, ignore=("written", "✓"))


def test_questions_are_asked_for_what_was_left_open(neo: Cli, give: Callable[[str], None]) -> None:
    answers = [
        "Bad Name",
        "neo",
        "",
        "/api/v1/projects, /api/v1/locations",
        "y",
        "n",
        "nmae=project_name",
        "priority=",
        "n",
        "short_description=project_name",
        "y",
        "y",
    ]
    give("\n".join(answers) + "\n")
    answer = neo("connect", "rest", "--customer-key-file", str(neo.include.parent / "key"))
    assert answer.code == 0, answer.err
    assert "'Bad Name' can't be used" in answer.err
    assert "Did you mean 'name'" in answer.error
    rules = rules_of(neo.include / "mappings" / "neo" / "projects.json")
    assert ("project_name", "short_description") in rules
    assert not [target for _, target in rules if target == "priority"]
    assert written(neo) == ["mappings/neo/locations.json", "mappings/neo/projects.json", "systems/neo.yaml"]


def test_a_person_who_does_not_agree_gets_no_file(neo: Cli, give: Callable[[str], None]) -> None:
    give("y\nn\n")
    answer = neo(*words(neo, *objects("projects")))
    assert answer.code == 1
    assert "Aborted" in answer.err
    assert written(neo) == []
    assert neo.ok("keys", "list", "--json").json["keys"] == []


class _Interrupted(io.StringIO):
    """A terminal at which Ctrl-C is pressed after the first answer."""

    def readline(self, size: int | None = -1) -> str:
        line = super().readline(-1 if size is None else size)
        if not line:
            raise KeyboardInterrupt
        return line


def test_ctrl_c_leaves_nothing(neo: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", _Interrupted("y\n"))
    answer = neo(*words(neo, *objects("projects")))
    assert answer.code == 130
    assert written(neo) == []


def test_a_dry_run_shows_everything_and_writes_nothing(neo: Cli) -> None:
    answer = neo.ok(*words(neo, "--dry-run", "--json", *objects("projects"))).json
    assert (answer["written"], answer["files"]) == (False, [])
    assert answer["tables"][0]["preview"]["records"][0]["after"]["external_id"] == "P-ARC-12015-1"
    assert written(neo) == []


def test_what_is_there_already_is_kept_unless_it_is_said(neo: Cli, running_erp: SampleErp) -> None:
    neo.ok(*words(neo, "--yes", *objects("projects")))
    path = neo.include / "systems" / "neo.yaml"
    path.write_text(path.read_text() + "# mine\n")
    calls = running_erp.get("/admin/calls").json()
    refused = neo(*words(neo, "--yes", *objects("projects")))
    assert refused.code == 1
    assert "kept as they are" in refused.error
    assert "neo.yaml" in refused.error
    assert "--replace" in refused.error
    assert running_erp.get("/admin/calls").json() == calls
    assert path.read_text().endswith("# mine\n")
    neo.ok(*words(neo, "--yes", "--replace", *objects("projects")))
    assert "# mine" not in path.read_text()


def test_a_mapping_that_lies_there_is_told_before_the_system_is_called(neo: Cli) -> None:
    mine = neo.include / "mappings" / "neo" / "tickets.json"
    mine.parent.mkdir()
    mine.write_text("mine")
    answer = neo(*words(neo, "--yes", "--object", "/no/such/path=tickets"))
    assert "tickets.json" in answer.error
    assert mine.read_text() == "mine"


def test_options_say_what_is_better_known(neo: Cli) -> None:
    answer = neo.ok(
        *words(neo, "--json", "--object", "/api/v1/projects=deliverables"),
        *("--key", "deliverables=project_number", "--cursor", "deliverables="),
        *("--field", "deliverables.state=", "--field", "deliverables.type=program"),
        *("--option", "limits.max_fields=50", "--option", "deliverables:params={limit: 500}"),
        *("--schedule", "0 2 * * *", "--timezone", "Europe/Berlin", "--description", "The ERP"),
    )
    (table,) = answer.json["tables"]
    sources = {field["column"]: field["source"] for field in table["fields"]}
    assert (table["table"], table["key"]["field"], table["cursor"]) == ("deliverables", "project_number", None)
    assert (sources["external_id"], sources["type"]) == ("project_number", "program")
    assert "state" not in sources
    spec = yaml.safe_load((neo.include / "systems" / "neo.yaml").read_text())
    assert spec["rest"]["limits"] == {"max_fields": 50}
    assert (spec["schedule"], spec["timezone"], spec["description"]) == ("0 2 * * *", "Europe/Berlin", "The ERP")
    assert (spec["tables"][0].get("rest") or spec["rest"])["params"] == {"limit": 500}


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["connect", "resst"], 2, "Did you mean 'rest'"),
        (["connect", "rest", "--yes"], 2, "A name for the system"),
        (["connect", "rest", "--yes", "--name", "../neo"], 2, "can't be used"),
        (["connect", "rest", "--yes", "--name", "Neo"], 2, "can't be used"),
        (["connect", "rest", "--yes", "--name", "neo", "-c", "a b"], 2, "can't be used"),
        (["connect", "rest", "--yes", "--name", "neo", "-o", "/x=tickts"], 2, "Did you mean 'tickets'"),
        (["connect", "rest", "--yes", "--name", "neo", "-o", "/x=tickets", "-o", "/y=tickets"], 2, "two objects"),
        (["connect", "rest", "--yes", "--name", "neo", "--key", "tickets"], 2, "has no '='"),
        (["connect", "rest", "--yes", "--name", "neo", "--field", "tickets=a"], 2, "has no '.'"),
        (["connect", "rest", "--yes", "--name", "neo", "--option", "a={"], 2, "is not YAML"),
        (
            ["connect", "rest", "--yes", "--name", "neo", "--option", "a=1", "--option", "a.b=1"],
            2,
            "holds a value already",
        ),
        (["connect", "rest", "--yes", "--name", "neo", "--timezone", "Berlin"], 2, "no IANA time zone"),
        (["connect", "rest", "--yes", "--name", "neo", "--customer-key-file", "/no/such"], 2, "can't be read"),
        (["connect", "rest", "--yes", "--name", "neo"], 1, "has no list of its objects"),
        (["connect", "rest", "--yes", "--name", "neo", "--option", "recordspath=a", "-o", "/x"], 1, "records_path"),
        (["connect", "rest", "--yes", "--name", "neo", "--schedule", "at noon"], 1, "not a cron expression"),
    ],
)
def test_what_can_not_be_used_is_named(neo: Cli, given: list[str], code: int, said: str) -> None:
    answer = neo(*given)
    assert answer.code == code, answer.err
    assert said in answer.error
    assert written(neo) == []


def failure(neo: Cli, *more: str) -> Answer:
    answer = neo(*words(neo, "--yes", *more))
    assert answer.code == 1
    assert written(neo) == []
    return answer


def test_a_connection_that_is_missing_says_how_it_is_made(
    neo: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))  # no Airflow beside it to be asked
    answer = failure(neo, "--connection", "nowhere", *objects("projects"))
    for said in ("no Airflow connection 'nowhere'", "--conn-type kwiksync ", "AIRFLOW_CONN_NOWHERE"):
        assert said in answer.error, said


def test_refused_credentials_are_told_and_not_shown(
    neo: Cli, running_erp: SampleErp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(CANARY)
    assert "ERR_001" in failure(neo, *objects("projects")).error
    extra = {"allow_hosts": ["localhost", "127.0.0.1"]}
    monkeypatch.setenv("AIRFLOW_CONN_KWIKSYNC_NEO", connection_of(running_erp, extra=extra, password=CANARY))
    answer = failure(neo, *objects("projects"))
    assert "ERR_003" in answer.error
    assert CANARY not in answer.out + answer.err


def test_an_object_that_is_empty_missing_or_no_list_is_named(neo: Cli) -> None:
    empty = "/api/v1/projects?updated_since=2999-01-01T00:00:00Z"
    assert "is empty" in failure(neo, "--object", f"{empty}=projects").error
    assert "404" in failure(neo, *objects("projects", "nothing")).error
    assert "no list of records" in failure(neo, "--object", "/admin/clock").error


def test_a_private_address_that_is_not_allowed_is_not_called(
    neo: Cli, running_erp: SampleErp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_KWIKSYNC_NEO", connection_of(running_erp))
    answer = failure(neo, *objects("projects"))
    assert "ERR_016" in answer.error
    assert "allow_hosts" in answer.error


def test_an_error_is_one_document_for_scripts(neo: Cli) -> None:
    answer = neo(*words(neo, "--json", *objects("nothing")))
    assert answer.code == 1
    assert answer.json["error"]["code"] == "ERR_014"


def test_a_rejected_preview_asks_for_a_look(neo: Cli) -> None:
    answer = neo(*words(neo, "--json", "--field", "projects.percent_complete=project_name", *objects("projects")))
    assert answer.code == 3
    (table,) = answer.json["tables"]
    assert table["preview"]["rejected"] == 10
    assert table["preview"]["records"][0]["rejects"][0]["field"] == "percent_complete"
    assert written(neo) == ["mappings/neo/projects.json", "systems/neo.yaml"]


def open_api(tmp_path: Path) -> str:
    record: dict[str, Any] = {"type": "object", "properties": {"project_id": {"type": "string"}}}
    answer = {"type": "object", "properties": {"data": {"type": "array", "items": record}}}
    get = {
        "summary": "Projects",
        "parameters": [{"name": name, "in": "query"} for name in ("limit", "offset", "updated_since")],
        "responses": {"200": {"content": {"application/json": {"schema": answer}}}},
    }
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps({"openapi": "3.1.0", "paths": {"/api/v1/projects": {"get": get}}}))
    return str(path)


def test_an_openapi_document_names_the_objects(neo: Cli, tmp_path: Path) -> None:
    answer = neo.ok(*words(neo, "--json", "--catalogue", open_api(tmp_path)))
    assert [table["object"] for table in answer.json["tables"]] == ["/api/v1/projects"]


def test_objects_of_a_list_are_picked_by_number_or_name(neo: Cli, tmp_path: Path, give: Callable[[str], None]) -> None:
    give("7\n1\ny\ny\n")
    answer = neo(*words(neo, "--catalogue", open_api(tmp_path)))
    assert answer.code == 0, answer.err
    assert "no object '7' in the list" in answer.error
    assert "Looks like" in answer.out


def test_a_rest_system_that_is_connected_both_ways_is_written_to(neo: Cli, running_erp: SampleErp) -> None:
    answer = neo.ok(*words(neo, "--json", "--direction", "both", *objects("locations", "projects", "tickets")))
    proposed = {table["table"]: table["outbound"] for table in answer.json["tables"]}
    way = proposed["tickets"]
    assert way["push"]["update"] == {"method": "PATCH", "path": "/api/v1/tickets/{key}"}
    assert way["left_out"]["ticket_id"] == "it is the key, which the system gives"
    planned = neo.ok("plan", "neo", "--json").json["tables"]
    assert {(table["direction"], table["action"]) for table in planned} == {("inbound", "new"), ("outbound", "new")}
    neo.ok("apply", "neo")
    neo("sync", "neo")
    first = neo.ok("records", "tickets", "--where", "source_system=neo", "--json").json["records"][0]
    neo.ok("edit", "tickets", first["sys_id"], "short_description=Changed in the hub")
    neo.ok("sync", "neo", "--outbound", "--table", "tickets")
    changed = [record for record in running_erp.truth("tickets") if "Changed in the hub" in record.values()]
    assert [record["ticket_id"] for record in changed] == [first["external_id"]]
