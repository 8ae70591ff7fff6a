//! Items and writes, in terms of DynamoDB's own expressions. Attribute names are chosen so that none is a reserved word.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;

use crate::error::StoreError;
use crate::table::{PARTITION, SORT};

/// An item, or a part of one.
pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(crate) fn binary(value: impl Into<Bytes>) -> AttributeValue {
    AttributeValue::B(Blob::new(value.into()))
}

/// A key.
pub(crate) fn key(partition: &str, sort: &str) -> Item {
    HashMap::from([(PARTITION.to_owned(), text(partition)), (SORT.to_owned(), text(sort))])
}

/// Reads attributes, and says what is wrong with one that is missing or of another type.
pub(crate) trait Fields {
    fn attribute(&self, name: &'static str) -> Result<&AttributeValue, StoreError>;

    fn text(&self, name: &'static str) -> Result<&str, StoreError> {
        let text = self.attribute(name)?.as_s();
        text.map(String::as_str).map_err(|_| StoreError::damaged(name, "not a text"))
    }

    fn bytes(&self, name: &'static str) -> Result<&[u8], StoreError> {
        let bytes = self.attribute(name)?.as_b();
        bytes.map(AsRef::as_ref).map_err(|_| StoreError::damaged(name, "not bytes"))
    }

    fn number<T: FromStr>(&self, name: &'static str) -> Result<T, StoreError> {
        let number = self.attribute(name)?.as_n().ok().and_then(|number| number.parse().ok());
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

impl Write {
    fn new(act: Act) -> Self {
        Write { act, condition: None, values: HashMap::new() }
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
        self.values.insert(name.to_owned(), value);
        self
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
