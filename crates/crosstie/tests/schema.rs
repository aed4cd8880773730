//! Schemas for those who depend on `crosstie` alone.

use crosstie::{
    Schema,
    schema::{SchemaText, can_read},
};
use serde::{Deserialize, Serialize};

#[derive(Schema, Serialize, Deserialize)]
struct Order {
    id: u64,
    #[serde(flatten)]
    price: Price,
}

#[derive(Schema, Serialize, Deserialize)]
struct Price {
    price: f64,
}

#[derive(Schema, Serialize, Deserialize)]
#[serde(rename = "Order")]
struct OlderOrder {
    id: u32,
    price: String,
}

#[test]
fn the_derive_needs_no_other_dependency() {
    let (writer, reader) = (SchemaText::of::<OlderOrder>().unwrap(), SchemaText::of::<Order>().unwrap());
    assert_eq!(reader.as_str(), "struct Order { id: u64, price: f64 }\n");
    let told = can_read(&writer, &reader).unwrap_err();
    assert_eq!(told[0].to_string(), "Order.price: the sender writes text, the receiver reads f64");
    assert_eq!(told.len(), 1);
}
