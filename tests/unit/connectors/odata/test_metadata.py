from __future__ import annotations

import pytest

from kwiksync_ops.connectors.odata.metadata import parse_metadata

V2 = b"""<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"
  xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"
  xmlns:sap="http://www.sap.com/Protocols/SAPData">
 <edmx:DataServices m:DataServiceVersion="2.0">
  <Schema Namespace="ORDERS" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
   <EntityType Name="OrderType">
    <Key><PropertyRef Name="Order"/></Key>
    <Property Name="Order" Type="Edm.String" Nullable="false" MaxLength="10" sap:label="Sales order"/>
    <Property Name="ChangedAt" Type="Edm.DateTimeOffset" Precision="7"/>
    <Property Name="Address" Type="ORDERS.Address"/>
    <NavigationProperty Name="to_Item" Relationship="ORDERS.assoc_1" FromRole="From" ToRole="To"/>
   </EntityType>
   <EntityType Name="ItemType">
    <Key><PropertyRef Name="Order"/><PropertyRef Name="Item"/></Key>
    <Property Name="Order" Type="Edm.String" Nullable="false"/><Property Name="Item" Type="Edm.Int32"/>
   </EntityType>
   <ComplexType Name="Address"><Property Name="At" Type="Edm.DateTime"/></ComplexType>
   <Association Name="assoc_1">
    <End Type="ORDERS.OrderType" Multiplicity="1" Role="From"/><End Type="ORDERS.ItemType" Multiplicity="*" Role="To"/>
   </Association>
   <EntityContainer Name="C">
    <EntitySet Name="Orders" EntityType="ORDERS.OrderType"/><EntitySet Name="Items" EntityType="ORDERS.ItemType"/>
   </EntityContainer>
  </Schema>
 </edmx:DataServices>
</edmx:Edmx>"""

V4 = b"""<edmx:Edmx Version="4.01" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">
 <edmx:DataServices>
  <Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">
   <EntityType Name="crmbaseentity" Abstract="true"><Property Name="versionnumber" Type="Edm.Int64"/></EntityType>
   <EntityType Name="account" BaseType="mscrm.crmbaseentity">
    <Key><PropertyRef Name="accountid"/></Key>
    <Property Name="accountid" Type="Edm.Guid"/>
    <Property Name="tags" Type="Collection(Edm.String)"/>
    <Property Name="_parent_value" Type="Edm.Guid"/>
    <NavigationProperty Name="parent" Type="mscrm.account" Partner="children">
     <ReferentialConstraint Property="_parent_value" ReferencedProperty="accountid"/>
    </NavigationProperty>
    <NavigationProperty Name="children" Type="Collection(mscrm.account)"/>
   </EntityType>
   <EntityContainer Name="C"><EntitySet Name="accounts" EntityType="Microsoft.Dynamics.CRM.account"/></EntityContainer>
   <Annotations Target="mscrm.account/accountid">
    <Annotation Term="com.sap.vocabularies.Common.v1.Label" String="Account"/>
   </Annotations>
  </Schema>
 </edmx:DataServices>
</edmx:Edmx>"""


def test_version_2_is_read_with_its_associations_and_labels() -> None:
    service = parse_metadata(V2)
    orders = service.sets["Orders"]
    assert (service.version, service.version_text) == ("v2", "2.0")
    assert service.sets["Items"].keys == ("Order", "Item")
    assert (orders.properties["Order"].label, orders.properties["Order"].is_required) == ("Sales order", True)
    assert orders.properties["ChangedAt"].precision == 7
    assert (orders.properties["to_Item"].type, orders.properties["to_Item"].is_link) == ("ORDERS.ItemType", True)
    at = service.property_at(orders, ("Address", "At"))
    assert at is not None
    assert at.type == "Edm.DateTime"
    assert service.property_at(orders, ("Address", "Street")) is None


def test_version_4_is_read_with_aliases_inherited_properties_and_annotations() -> None:
    service = parse_metadata(V4)
    accounts = service.sets["accounts"]
    assert (service.version, service.version_text) == ("v4", "4.01")
    assert accounts.keys == ("accountid",)
    assert accounts.properties["versionnumber"].type == "Edm.Int64"
    assert accounts.properties["tags"].type == "Edm.String"
    assert accounts.properties["children"].type == "Microsoft.Dynamics.CRM.account"
    assert accounts.properties["parent"].foreign_key == "_parent_value"
    assert accounts.properties["accountid"].label == "Account"


def test_types_that_inherit_from_each_other_in_a_circle_end() -> None:
    service = parse_metadata(V4.replace(b'Abstract="true"', b'BaseType="mscrm.account"'))
    assert service.sets["accounts"].keys == ("accountid",)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b"", "not XML"),
        (b"<html/>", "its root is <html>"),
        (b"<Edmx/>", "its root is <Edmx>"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entities of its own"),
        (
            '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'.encode("utf-16"),
            "entities",
        ),
    ],
)
def test_what_is_no_metadata_is_refused(document: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_metadata(document)
