"""Proposals for systems that people have: names and values as these systems are known for."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kwiksync_ops.connectors.discovery import ObjectInfo
from kwiksync_ops.mapping.proposals.profile import profile_records
from kwiksync_ops.services.discovery import Inspected
from kwiksync_ops.services.proposals import TableProposal, choose_tables, propose

AGREEMENT = 0.85
RECORDS = 30


@dataclass(frozen=True)
class Known:
    """An object: the table that it is to become, its change time, and the field that each column is filled from."""

    record: Callable[[int], dict[str, Any]]
    table: str
    cursor: str
    fields: Mapping[str, str]


def at(hours: int) -> str:
    return f"{datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=7 * hours):%Y-%m-%dT%H:%M:%SZ}"


def guid(name: object) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(name)))


def among(number: int, *words: str) -> str:
    return words[number % len(words)]


SYSTEMS: dict[str, dict[str, Known]] = {
    "salesforce": {
        "Case": Known(
            lambda at_: {
                "Id": f"500{at_:015d}",
                "CaseNumber": f"{1000 + at_:08d}",
                "Subject": "Lamp broken",
                "Description": "The lamp is dark. " * 20,
                "Status": among(at_, "New", "Working", "Escalated", "Closed"),
                "Priority": among(at_, "High", "Medium", "Low"),
                "Type": "Problem",
                "Origin": "Web",
                "OwnerId": f"005{at_ % 3:015d}",
                "AccountId": f"001{at_ % 9:015d}",
                "CreatedDate": at(at_),
                "ClosedDate": None if at_ % 3 else at(at_ + 9),
                "LastModifiedDate": at(at_ + 5),
                "IsClosed": at_ % 3 == 0,
            },
            "tickets",
            "LastModifiedDate",
            {
                "external_id": "Id",
                "number": "CaseNumber",
                "short_description": "Subject",
                "description": "Description",
                "state": "Status",
                "priority": "Priority",
                "category": "Type",
                "opened_at": "CreatedDate",
                "closed_at": "ClosedDate",
                "assigned_to": "OwnerId",
                "location": "AccountId",
            },
        ),
        "Account": Known(
            lambda at_: {
                "Id": f"001{at_:015d}",
                "Name": f"Site {at_}",
                "BillingStreet": f"Main {at_}",
                "BillingCity": "Oslo",
                "BillingState": "Viken",
                "BillingPostalCode": f"{1000 + at_}",
                "BillingCountry": "Norway",
                "BillingLatitude": 59.9,
                "BillingLongitude": 10.7,
                "Industry": "Energy",
                "LastModifiedDate": at(at_),
            },
            "locations",
            "LastModifiedDate",
            {
                "external_id": "Id",
                "name": "Name",
                "street": "BillingStreet",
                "city": "BillingCity",
                "state": "BillingState",
                "zip": "BillingPostalCode",
                "country": "BillingCountry",
                "latitude": "BillingLatitude",
                "longitude": "BillingLongitude",
            },
        ),
        "Asset": Known(
            lambda at_: {
                "Id": f"02i{at_:015d}",
                "Name": f"Pump {at_}",
                "SerialNumber": f"SN{at_:06d}",
                "Status": among(at_, "Installed", "Shipped", "Obsolete"),
                "Quantity": at_,
                "AccountId": f"001{at_ % 9:015d}",
                "InstallDate": "2026-01-02",
                "LastModifiedDate": at(at_),
            },
            "assets",
            "LastModifiedDate",
            {
                "external_id": "Id",
                "name": "Name",
                "serial_number": "SerialNumber",
                "status": "Status",
                "quantity": "Quantity",
                "location": "AccountId",
            },
        ),
    },
    "zendesk": {
        "/api/v2/tickets": Known(
            lambda at_: {
                "id": 35000 + at_,
                "external_id": None,
                "created_at": at(at_),
                "updated_at": at(at_ + 3),
                "type": "incident",
                "subject": "My printer",
                "description": "It is on fire. " * 8,
                "priority": among(at_, "urgent", "high", "normal", "low"),
                "status": among(at_, "new", "open", "pending", "hold", "solved", "closed"),
                "requester_id": 1,
                "assignee_id": 235 + at_ % 4,
                "group_id": 9,
                "due_at": None,
                "tags": ["office"],
            },
            "tickets",
            "updated_at",
            {
                "external_id": "id",
                "short_description": "subject",
                "description": "description",
                "state": "status",
                "priority": "priority",
                "category": "type",
                "opened_at": "created_at",
                "due_date": "due_at",
                "assigned_to": "assignee_id",
            },
        )
    },
    "dynamics": {
        "incidents": Known(
            lambda at_: {
                "incidentid": guid(at_),
                "ticketnumber": f"CAS-{at_:05d}-A",
                "title": "Heater",
                "description": "It is cold. " * 20,
                "prioritycode": at_ % 3 + 1,
                "statecode": 0,
                "statuscode": at_ % 5 + 1,
                "createdon": at(at_),
                "modifiedon": at(at_ + 4),
                "resolveby": at(at_ + 40),
                "_ownerid_value": guid(f"owner {at_ % 3}"),
                "_customerid_value": guid(f"customer {at_ % 4}"),
            },
            "tickets",
            "modifiedon",
            {
                "external_id": "incidentid",
                "number": "ticketnumber",
                "short_description": "title",
                "description": "description",
                "priority": "prioritycode",
                "state": "statuscode",
                "opened_at": "createdon",
                "assigned_to": "_ownerid_value",
            },
        )
    },
    "jira": {
        "issues": Known(
            lambda at_: {
                "id": str(10000 + at_),
                "key": f"OPS-{at_}",
                "fields": {
                    "summary": "Lamp",
                    "description": "It is dark. " * 60,
                    "status": {"name": among(at_, "To Do", "In Progress", "Done")},
                    "priority": {"name": among(at_, "Highest", "High", "Medium", "Low")},
                    "issuetype": {"name": "Task"},
                    "assignee": {"displayName": "Ann"},
                    "created": "2026-01-02T10:00:00.000+0000",
                    "updated": f"2026-01-02T10:00:{at_:02d}.000+0000",
                    "duedate": "2026-02-01",
                    "resolutiondate": None if at_ % 2 else "2026-01-09T10:00:00.000+0000",
                },
            },
            "tickets",
            "fields.updated",
            {
                "external_id": "id",
                "number": "key",
                "short_description": "fields.summary",
                "description": "fields.description",
                "state": "fields.status.name",
                "priority": "fields.priority.name",
                "category": "fields.issuetype.name",
                "assigned_to": "fields.assignee.displayName",
                "opened_at": "fields.created",
                "due_date": "fields.duedate",
                "closed_at": "fields.resolutiondate",
            },
        )
    },
    "sap": {
        "A_MaintenanceOrder": Known(
            lambda at_: {
                "MaintenanceOrder": f"{4000000 + at_}",
                "MaintenanceOrderDesc": "Pump leaks",
                "MaintPriority": str(at_ % 4 + 1),
                "MaintenanceOrderType": "PM01",
                "FunctionalLocation": f"FL-{at_ % 9}",
                "CreationDate": "2026-01-01",
                "LastChangeDateTime": at(at_),
                "OrderStatus": among(at_, "CRTD", "REL", "TECO", "CLSD"),
            },
            "tickets",
            "LastChangeDateTime",
            {
                "external_id": "MaintenanceOrder",
                "short_description": "MaintenanceOrderDesc",
                "priority": "MaintPriority",
                "category": "MaintenanceOrderType",
                "opened_at": "CreationDate",
                "location": "FunctionalLocation",
                "state": "OrderStatus",
            },
        ),
        "A_FunctionalLocation": Known(
            lambda at_: {
                "FunctionalLocation": f"FL-{at_}",
                "FunctionalLocationName": f"Hall {at_}",
                "StreetName": "Ring",
                "CityName": "Wien",
                "PostalCode": "1010",
                "Country": "AT",
                "Region": "W",
                "LastChangeDateTime": at(at_),
            },
            "locations",
            "LastChangeDateTime",
            {
                "external_id": "FunctionalLocation",
                "name": "FunctionalLocationName",
                "street": "StreetName",
                "city": "CityName",
                "zip": "PostalCode",
                "country": "Country",
                "region": "Region",
            },
        ),
    },
    "odoo": {
        "project.project": Known(
            lambda at_: {
                "id": at_ + 1,
                "name": f"Project {at_}",
                "partner_name": "ACME",
                "date_start": "2026-01-02",
                "stage_name": among(at_, "New", "In Progress", "Done", "Canceled"),
                "active": True,
                "write_date": f"2026-01-{at_ % 28 + 1:02d} 10:00:00",
                "create_date": "2026-01-01 10:00:00",
            },
            "projects",
            "write_date",
            {
                "external_id": "id",
                "name": "name",
                "start_date": "date_start",
                "state": "stage_name",
                "customer": "partner_name",
            },
        ),
        "project.task": Known(
            lambda at_: {
                "id": at_ + 1,
                "name": f"Task {at_}",
                "stage_name": among(at_, "New", "In Progress", "Done"),
                "assignee": "Bob",
                "date_deadline": "2026-02-01",
                "write_date": f"2026-01-{at_ % 28 + 1:02d} 10:00:00",
            },
            "kw_corp_ticket_tasks",
            "write_date",
            {
                "external_id": "id",
                "short_description": "name",
                "state": "stage_name",
                "assigned_to": "assignee",
                "due_date": "date_deadline",
            },
        ),
    },
}


def proposed(system: Mapping[str, Known]) -> dict[str, TableProposal]:
    """By object."""
    objects = []
    for name, known in system.items():
        records = [known.record(number) for number in range(RECORDS)]
        objects.append(Inspected(ObjectInfo(name), records, profile_records(records), {}, is_complete=True))
    return {found.inspected.info.name: found for found in propose(objects, choose_tables(objects))}


@pytest.mark.parametrize("system", SYSTEMS)
def test_objects_become_their_tables_with_key_and_change_time(system: str) -> None:
    found = proposed(SYSTEMS[system])
    for name, known in SYSTEMS[system].items():
        proposal = found[name]
        assert proposal.table == known.table
        assert proposal.cursor is not None
        assert proposal.cursor.field.name == known.cursor
        assert proposal.table_spec().key == known.fields["external_id"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_columns_are_filled_from_the_fields_that_mean_them(system: str) -> None:
    found = proposed(SYSTEMS[system])
    for name, known in SYSTEMS[system].items():
        ours = {match.rule.target_field: match.rule.source_field for match in found[name].matches}
        missed = {column: ours.get(column) for column, field in known.fields.items() if ours.get(column) != field}
        assert 1 - len(missed) / len(known.fields) >= AGREEMENT, (name, missed)
