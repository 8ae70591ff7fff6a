//! Items and writes, in terms of DynamoDB's own expressions. Attribute names are chosen so that none is a reserved word.

use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::StoreError;
pub(crate) use crate::services::{AttributeValue, Item};
use crate::services::{Object, write_item};
use crate::table::{PARTITION, SORT};

pub(crate) fn text(value: impl Into<Arc<str>>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string().into())
}

pub(crate) fn binary(value: impl Into<Bytes>) -> AttributeValue {
    AttributeValue::B(value.into())
}

/// A key.
pub(crate) fn key(partition: &str, sort: &str) -> Item {
    Item::from([(PARTITION.into(), text(partition)), (SORT.into(), text(sort))])
}

/// Reads attributes, and says what is wrong with one that is missing or of another type.
pub(crate) trait Fields {
    fn attribute(&self, name: &'static str) -> Result<&AttributeValue, StoreError>;

    fn text(&self, name: &'static str) -> Result<&str, StoreError> {
        match self.attribute(name)? {
            AttributeValue::S(text) => Ok(text),
            _ => Err(StoreError::damaged(name, "not a text")),
        }
    }

    fn bytes(&self, name: &'static str) -> Result<&Bytes, StoreError> {
        match self.attribute(name)? {
            AttributeValue::B(bytes) => Ok(bytes),
            _ => Err(StoreError::damaged(name, "not bytes")),
        }
    }

    fn list(&self, name: &'static str) -> Result<&[AttributeValue], StoreError> {
        match self.attribute(name)? {
            AttributeValue::L(values) => Ok(values),
            _ => Err(StoreError::damaged(name, "not a list")),
        }
    }

    fn number<T: FromStr>(&self, name: &'static str) -> Result<T, StoreError> {
        let number = match self.attribute(name)? {
            AttributeValue::N(number) => number.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| StoreError::damaged(name, "not a number in its bounds"))
    }
}

impl Fields for Item {
    fn attribute(&self, name: &'static str) -> Result<&AttributeValue, StoreError> {
        self.get(name).ok_or_else(|| StoreError::damaged(name, "missing"))
    }
}

/// One write, alone or in a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    pub(crate) act: Act,
    pub(crate) condition: Option<String>,
    pub(crate) values: Item,
}

/// What a write does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Put(Item),
    Update(Item, String),
    Delete(Item),
    Check(Item),
}

impl Act {
    /// The operation that does it alone. A condition alone is none.
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Act::Put(_) => "PutItem",
            Act::Update(..) => "UpdateItem",
            Act::Delete(_) => "DeleteItem",
            Act::Check(_) => "TransactWriteItems",
        }
    }

    /// What it is in a transaction. (API: TransactWriteItem.)
    pub(crate) fn part(&self) -> &'static str {
        match self {
            Act::Put(_) => "Put",
            Act::Update(..) => "Update",
            Act::Delete(_) => "Delete",
            Act::Check(_) => "ConditionCheck",
        }
    }
}

impl Write {
    fn new(act: Act) -> Self {
        Write { act, condition: None, values: Item::new() }
    }

    pub(crate) fn put(item: Item) -> Self {
        Write::new(Act::Put(item))
    }

    pub(crate) fn update((partition, sort): (&str, &str), expression: impl Into<String>) -> Self {
        Write::new(Act::Update(key(partition, sort), expression.into()))
    }

    pub(crate) fn delete((partition, sort): (&str, &str)) -> Self {
        Write::new(Act::Delete(key(partition, sort)))
    }

    /// In a transaction only: nothing but the condition.
    pub(crate) fn check((partition, sort): (&str, &str)) -> Self {
        Write::new(Act::Check(key(partition, sort)))
    }

    pub(crate) fn when(mut self, condition: impl Into<String>) -> Self {
        self.condition = Some(condition.into());
        self
    }

    /// The condition that there is no such item.
    pub(crate) fn when_absent(self) -> Self {
        self.when(format!("attribute_not_exists({PARTITION})"))
    }

    /// A value that the expressions name.
    pub(crate) fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.into(), value);
        self
    }

    /// Writes it as the operation of its own ([`Act::operation`]) takes it, or a transaction beneath [`Act::part`]. Where the condition
    /// does not hold, DynamoDB says what is there.
    pub(crate) fn write(&self, table_name: &str, request: &mut Object<'_>) {
        request.text("TableName", table_name);
        match &self.act {
            Act::Put(item) => write_item(item, request.name("Item")),
            Act::Update(key, expression) => {
                write_item(key, request.name("Key"));
                request.text("UpdateExpression", expression);
            }
            Act::Delete(key) | Act::Check(key) => write_item(key, request.name("Key")),
        }
        if let Some(condition) = &self.condition {
            request.text("ConditionExpression", condition);
        }
        if !self.values.is_empty() {
            write_item(&self.values, request.name("ExpressionAttributeValues"));
        }
        request.text("ReturnValuesOnConditionCheckFailure", "ALL_OLD");
    }
}

/// What became of a conditional write.
#[derive(Debug)]
pub(crate) enum Written {
    /// It was done.
    Done,
    /// The condition did not hold: what is there, if anything.
    Not(Option<Item>),
}

/// What became of a transaction.
#[derive(Debug)]
pub(crate) enum Transacted {
    /// All was done.
    Done,
    /// Nothing was: by the writes' order, whose condition did not hold, and what is there.
    Not(Vec<Reason>),
}

/// A write's part in a transaction that was not done.
#[derive(Debug)]
pub(crate) enum Reason {
    /// Its condition held, or was not looked at.
    Held,
    /// Its condition did not hold.
    Failed(Option<Item>),
}

impl Reason {
    pub(crate) fn failed(&self) -> bool {
        matches!(self, Reason::Failed(_))
    }
}
