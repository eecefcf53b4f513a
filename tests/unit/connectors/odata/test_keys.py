from __future__ import annotations

import pytest

from kwiksync_ops.connectors.odata.edm import Version
from kwiksync_ops.connectors.odata.keys import COMPOSITE, KeyReader
from kwiksync_ops.connectors.odata.metadata import EntitySet, Property


def entity_set(name: str, **types: str) -> EntitySet:
    """Its key is made of all of its properties but `other`."""
    properties = {each: Property(each, kind) for each, kind in types.items()}
    return EntitySet(name, f"desk.{name}", tuple(each for each in types if each != "other"), properties)


ORDERS = entity_set("Orders", ID="Edm.String", other="Edm.String")
ITEMS = entity_set("Items", Order="Edm.String", Ref="Edm.Guid", Position="Edm.Int64")
GUID = "005056ab-7d12-1eda-0000-0123456789ad"


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("A1", "Orders('A1')"),
        ("A/1#x?y&z%", "Orders('A%2F1%23x%3Fy%26z%25')"),
        ("O'Neil", "Orders('O''Neil')"),
        ("a b", "Orders('a%20b')"),
        ("Grüße", "Orders('Gr%C3%BC%C3%9Fe')"),
    ],
)
def test_a_key_is_quoted_and_encoded(key: str, address: str) -> None:
    keys = KeyReader(ORDERS, "v4", "ID")
    assert keys.address(key) == address
    assert keys.key_in(f"https://host/svc/{address}") == key


@pytest.mark.parametrize(
    ("version", "literals"),
    [("v4", f"Order='A''1',Ref={GUID},Position=10"), ("v2", f"Order='A''1',Ref=guid'{GUID}',Position=10L")],
)
def test_a_key_of_several_properties_is_one_id(version: Version, literals: str) -> None:
    keys = KeyReader(ITEMS, version, COMPOSITE)
    record = {"Position": "10", "Ref": GUID, "Order": "A'1"}
    assert keys.key_of(record) == literals
    assert keys.parts(literals) == ["A'1", GUID, "10"]
    assert keys.address(literals) == f"Items({literals})"
    assert keys.key_in(f"Items({literals})") == literals
    assert keys.key_of({"Order": "A", "Position": 1}) is None


def test_fixed_keys_stand_in_the_address_alone() -> None:
    drafts = entity_set("Orders", ID="Edm.String", IsActiveEntity="Edm.Boolean")
    keys = KeyReader(drafts, "v4", "ID", {"IsActiveEntity": True})
    assert keys.address("7") == "Orders(ID='7',IsActiveEntity=true)"
    assert keys.key_in("/svc/Orders(ID='7',IsActiveEntity=true)") == "7"
    whole = KeyReader(
        entity_set("Orders", ID="Edm.String", P="Edm.Int32", Live="Edm.Boolean"), "v4", COMPOSITE, {"Live": True}
    )
    assert whole.key_of({"ID": "7", "P": 1, "Live": True}) == "ID='7',P=1"
    assert whole.address("ID='7',P=1") == "Orders(ID='7',P=1,Live=true)"


def test_another_property_than_the_key_is_named_in_the_address() -> None:
    keys = KeyReader(ORDERS, "v4", "other")
    assert keys.address("7") == "Orders(other='7')"
    assert keys.key_in("Orders('1')") is None


@pytest.mark.parametrize("key", ["Order='A'", "nonsense", "Order='A',Ref=x,Position=1,More=2", "Order='A' or 1"])
def test_an_id_that_is_no_key_of_the_set_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="does not name Order, Ref, Position"):
        KeyReader(ITEMS, "v4", COMPOSITE).address(key)


@pytest.mark.parametrize("address", ["", "https://host/Orders", "https://host/Others('1')"])
def test_an_address_of_something_else_has_no_key(address: str) -> None:
    assert KeyReader(ORDERS, "v4", "ID").key_in(address) is None
