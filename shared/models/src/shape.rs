//! One service: its operations, and the types of what they answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::bytes::{Reader, Writer};
use crate::names::{self, Casing};

/// A service's operations and the types of their outputs.
#[derive(Debug, PartialEq)]
pub struct Service {
    names: Vec<Box<str>>,
    /// Each by its name, in the order of names, with its output.
    operations: Vec<(u32, Option<ShapeId>)>,
    shapes: Vec<Shape>,
}

/// Names a type of one [`Service`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShapeId(u32);

/// The least and the most that something may be; as a length in characters or items, or as a number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// The least.
    pub min: Option<f64>,
    /// The most.
    pub max: Option<f64>,
}

#[derive(Debug, PartialEq)]
enum Shape {
    Structure(Vec<(u32, bool, ShapeId)>),
    List(ShapeId, Bounds),
    Map(ShapeId, Bounds),
    String(Bounds, Vec<u32>),
    Number(Bounds),
    Boolean,
    Timestamp,
    Blob,
    Any,
}

/// An operation, such as `PutEvents`.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'s> {
    service: &'s Service,
    name: u32,
    output: Option<ShapeId>,
}

impl<'s> Operation<'s> {
    /// Its name, as the service has it.
    pub fn name(&self) -> &'s str {
        self.service.name(self.name)
    }

    /// The type of its answer, where it has one.
    pub fn output(&self) -> Option<Type<'s>> {
        self.output.map(|shape| self.service.of(shape))
    }
}

/// A type.
#[derive(Debug, Clone, Copy)]
pub struct Type<'s> {
    service: &'s Service,
    shape: ShapeId,
}

/// What a [`Type`] is.
#[derive(Debug, Clone, Copy)]
pub enum Kind<'s> {
    /// An object of known members.
    Structure(Structure<'s>),
    /// An array.
    List(List<'s>),
    /// An object of any members.
    Map(Map<'s>),
    /// A string.
    String {
        /// Its length, in characters.
        length: Bounds,
        /// What it must be one of; empty where it may be anything.
        values: Values<'s>,
    },
    /// A number, whole or not.
    Number(Bounds),
    /// A boolean.
    Boolean,
    /// A time; Step Functions has it as a string.
    Timestamp,
    /// Bytes; Step Functions has them as a string.
    Blob,
    /// Any JSON.
    Any,
}

/// The members of a structure.
#[derive(Debug, Clone, Copy)]
pub struct Structure<'s> {
    service: &'s Service,
    members: &'s [(u32, bool, ShapeId)],
}

/// A member of a structure.
#[derive(Debug, Clone, Copy)]
pub struct Member<'s> {
    /// Its name, as the service has it.
    pub name: &'s str,
    /// Whether it is always there.
    pub is_required: bool,
    /// Its type.
    pub of: Type<'s>,
}

impl<'s> Member<'s> {
    /// The member's name, as Step Functions spells it.
    pub fn spelled(&self, casing: Casing) -> Cow<'s, str> {
        names::member(self.name, casing)
    }
}

impl<'s> Structure<'s> {
    /// The members, in the order of the model.
    pub fn members(&self) -> impl Iterator<Item = Member<'s>> + use<'s> {
        let service = self.service;
        self.members.iter().map(move |(name, is_required, of)| Member {
            name: service.name(*name),
            is_required: *is_required,
            of: service.of(*of),
        })
    }
}

/// An array's type.
#[derive(Debug, Clone, Copy)]
pub struct List<'s> {
    /// The type of its items.
    pub of: Type<'s>,
    /// How many there may be.
    pub length: Bounds,
}

/// The type of an object whose members' names are data.
#[derive(Debug, Clone, Copy)]
pub struct Map<'s> {
    /// The type of its values.
    pub of: Type<'s>,
    /// How many there may be.
    pub length: Bounds,
}

/// The values of an enumeration.
#[derive(Debug, Clone, Copy)]
pub struct Values<'s> {
    service: &'s Service,
    names: &'s [u32],
}

impl Values<'_> {
    /// Whether `text` may stand.
    pub fn allow(&self, text: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|name| self.service.name(*name) == text)
    }
}

impl<'s> Type<'s> {
    /// What it is.
    pub fn kind(&self) -> Kind<'s> {
        let service = self.service;
        match &service.shapes[self.shape.0 as usize] {
            Shape::Structure(members) => Kind::Structure(Structure { service, members }),
            Shape::List(of, length) => Kind::List(List { of: service.of(*of), length: *length }),
            Shape::Map(of, length) => Kind::Map(Map { of: service.of(*of), length: *length }),
            Shape::String(length, names) => {
                Kind::String { length: *length, values: Values { service, names } }
            }
            Shape::Number(bounds) => Kind::Number(*bounds),
            Shape::Boolean => Kind::Boolean,
            Shape::Timestamp => Kind::Timestamp,
            Shape::Blob => Kind::Blob,
            Shape::Any => Kind::Any,
        }
    }
}

impl Service {
    fn name(&self, index: u32) -> &str {
        &self.names[index as usize]
    }

    fn of(&self, shape: ShapeId) -> Type<'_> {
        Type { service: self, shape }
    }

    /// The operation that a Resource names by `action`: `putEvents` is `PutEvents`.
    pub fn operation(&self, action: &str) -> Option<Operation<'_>> {
        let action = names::member(action, Casing::Model);
        // The SDK's spelling differs from the model's where a name begins with capitals.
        [Casing::Model, Casing::Sdk].into_iter().find_map(|casing| {
            self.operations().find(|operation| names::member(operation.name(), casing) == action)
        })
    }

    /// All operations, in the order of their names.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'_>> {
        self.operations.iter().map(|(name, output)| Operation { service: self, name: *name, output: *output })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.count(self.names.len());
        self.names.iter().for_each(|name| out.text(name));
        out.count(self.operations.len());
        for (name, output) in &self.operations {
            out.number(u64::from(*name));
            out.number(output.map_or(0, |shape| u64::from(shape.0) + 1));
        }
        out.count(self.shapes.len());
        self.shapes.iter().for_each(|shape| shape.encode(&mut out));
        out.0
    }

    /// `None` where `bytes` are no service.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut bytes = Reader(bytes);
        let names: Vec<Box<str>> =
            (0..bytes.count()?).map(|_| bytes.text().map(Box::from)).collect::<Option<_>>()?;
        let operations = (0..bytes.count()?)
            .map(|_| Some((bytes.index()?, bytes.index()?.checked_sub(1).map(ShapeId))))
            .collect::<Option<Vec<_>>>()?;
        let shapes = (0..bytes.count()?).map(|_| Shape::decode(&mut bytes)).collect::<Option<Vec<_>>>()?;
        let service = Service { names, operations, shapes };
        service.is_sound().then_some(service)
    }

    /// Whether every index leads somewhere.
    fn is_sound(&self) -> bool {
        let name = |name: &u32| (*name as usize) < self.names.len();
        let shape = |shape: &ShapeId| (shape.0 as usize) < self.shapes.len();
        self.operations.iter().all(|(at, output)| name(at) && output.iter().all(shape))
            && self.shapes.iter().all(|found| match found {
                Shape::Structure(members) => members.iter().all(|(at, _, of)| name(at) && shape(of)),
                Shape::List(of, _) | Shape::Map(of, _) => shape(of),
                Shape::String(_, values) => values.iter().all(name),
                _ => true,
            })
    }
}

impl Shape {
    fn encode(&self, out: &mut Writer) {
        let bounds = |out: &mut Writer, bounds: &Bounds| {
            out.bound(bounds.min);
            out.bound(bounds.max);
        };
        match self {
            Shape::Structure(members) => {
                out.0.push(0);
                out.count(members.len());
                for (name, is_required, of) in members {
                    out.number(u64::from(*name) * 2 + u64::from(*is_required));
                    out.number(u64::from(of.0));
                }
            }
            Shape::List(of, length) | Shape::Map(of, length) => {
                out.0.push(if matches!(self, Shape::List(..)) { 1 } else { 2 });
                out.number(u64::from(of.0));
                bounds(out, length);
            }
            Shape::String(length, values) => {
                out.0.push(3);
                bounds(out, length);
                out.count(values.len());
                values.iter().for_each(|value| out.number(u64::from(*value)));
            }
            Shape::Number(between) => {
                out.0.push(4);
                bounds(out, between);
            }
            Shape::Boolean => out.0.push(5),
            Shape::Timestamp => out.0.push(6),
            Shape::Blob => out.0.push(7),
            Shape::Any => out.0.push(8),
        }
    }

    fn decode(bytes: &mut Reader<'_>) -> Option<Self> {
        let bounds = |bytes: &mut Reader<'_>| Some(Bounds { min: bytes.bound()?, max: bytes.bound()? });
        Some(match bytes.byte()? {
            0 => {
                let member = |bytes: &mut Reader<'_>| {
                    let name = bytes.index()?;
                    Some((name / 2, name % 2 == 1, ShapeId(bytes.index()?)))
                };
                Shape::Structure((0..bytes.count()?).map(|_| member(bytes)).collect::<Option<_>>()?)
            }
            1 => Shape::List(ShapeId(bytes.index()?), bounds(bytes)?),
            2 => Shape::Map(ShapeId(bytes.index()?), bounds(bytes)?),
            3 => {
                let length = bounds(bytes)?;
                Shape::String(length, (0..bytes.count()?).map(|_| bytes.index()).collect::<Option<_>>()?)
            }
            4 => Shape::Number(bounds(bytes)?),
            5 => Shape::Boolean,
            6 => Shape::Timestamp,
            7 => Shape::Blob,
            8 => Shape::Any,
            _ => return None,
        })
    }
}

/// What a [`ServiceBuilder`] is told of a type. Types refer to others by [`ShapeId`]s that may not be filled in yet.
#[derive(Debug, Clone, PartialEq)]
pub enum Builder {
    /// Members: name, whether required, type.
    Structure(Vec<(String, bool, ShapeId)>),
    /// An array of these.
    List(ShapeId, Bounds),
    /// An object of these.
    Map(ShapeId, Bounds),
    /// A string of this length, one of these values where there are any.
    String(Bounds, Vec<String>),
    /// A number.
    Number(Bounds),
    /// A boolean.
    Boolean,
    /// A time.
    Timestamp,
    /// Bytes.
    Blob,
    /// Any JSON.
    Any,
}

/// Puts a [`Service`] together.
#[derive(Default)]
pub struct ServiceBuilder {
    names: Vec<Box<str>>,
    by_name: BTreeMap<Box<str>, u32>,
    operations: Vec<(u32, Option<ShapeId>)>,
    shapes: Vec<Shape>,
}

impl ServiceBuilder {
    /// A place for a type, which [`ServiceBuilder::fill`] fills: types may hold themselves.
    pub fn reserve(&mut self) -> ShapeId {
        self.shapes.push(Shape::Any);
        ShapeId((self.shapes.len() - 1) as u32)
    }

    /// Says what the type at `place` is.
    pub fn fill(&mut self, place: ShapeId, with: Builder) {
        let shape = match with {
            Builder::Structure(members) => Shape::Structure(
                members.into_iter().map(|(name, required, of)| (self.named(&name), required, of)).collect(),
            ),
            Builder::List(of, length) => Shape::List(of, length),
            Builder::Map(of, length) => Shape::Map(of, length),
            Builder::String(length, values) => {
                Shape::String(length, values.iter().map(|value| self.named(value)).collect())
            }
            Builder::Number(bounds) => Shape::Number(bounds),
            Builder::Boolean => Shape::Boolean,
            Builder::Timestamp => Shape::Timestamp,
            Builder::Blob => Shape::Blob,
            Builder::Any => Shape::Any,
        };
        self.shapes[place.0 as usize] = shape;
    }

    /// Adds an operation.
    pub fn operation(&mut self, name: &str, output: Option<ShapeId>) {
        let name = self.named(name);
        self.operations.push((name, output));
    }

    fn named(&mut self, name: &str) -> u32 {
        if let Some(at) = self.by_name.get(name) {
            return *at;
        }
        let at = self.names.len() as u32;
        self.names.push(name.into());
        self.by_name.insert(name.into(), at);
        at
    }

    /// The service.
    pub fn finish(mut self) -> Service {
        let names = &self.names;
        self.operations.sort_by(|a, b| names[a.0 as usize].cmp(&names[b.0 as usize]));
        Service { names: self.names, operations: self.operations, shapes: self.shapes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn small() -> Service {
        let mut builder = ServiceBuilder::default();
        let (tree, text, list) = (builder.reserve(), builder.reserve(), builder.reserve());
        let length = Bounds { min: Some(1.0), max: Some(8.0) };
        builder.fill(text, Builder::String(length, vec!["RED".into(), "GREEN".into()]));
        builder.fill(list, Builder::List(tree, Bounds::default()));
        let members = vec![("colour".into(), true, text), ("children".into(), false, list)];
        builder.fill(tree, Builder::Structure(members));
        builder.operation("GrowTree", Some(tree));
        builder.operation("CutDBTree", None);
        builder.operation("DBTrees", None);
        builder.finish()
    }

    #[test]
    fn a_service_is_read_as_it_was_written() {
        let service = small();
        let bytes = service.encode();
        assert_eq!(Service::decode(&bytes), Some(service));
        for end in 0..bytes.len() {
            assert_eq!(Service::decode(&bytes[..end]), None, "cut at {end}");
        }
    }

    #[test]
    fn operations_are_found_by_their_actions() {
        let service = small();
        for (action, name) in [
            ("growTree", Some("GrowTree")),
            ("GrowTree", Some("GrowTree")),
            ("cutDBTree", Some("CutDBTree")),
            ("DBTrees", Some("DBTrees")),
            ("dbTrees", Some("DBTrees")),
            ("growtree", None),
            ("", None),
        ] {
            assert_eq!(service.operation(action).map(|operation| operation.name()), name, "{action}");
        }
    }

    #[test]
    fn types_show_what_they_hold() {
        let service = small();
        let output = service.operation("growTree").and_then(|grow| grow.output()).unwrap();
        let Kind::Structure(tree) = output.kind() else { panic!("{output:?}") };
        let members: Vec<_> = tree.members().map(|m| (m.spelled(Casing::Model), m.is_required)).collect();
        assert_eq!(members, [("Colour".into(), true), ("Children".into(), false)]);
        let Some(Kind::String { length, values }) = tree.members().next().map(|m| m.of.kind()) else {
            panic!()
        };
        assert_eq!(length, Bounds { min: Some(1.0), max: Some(8.0) });
        assert!(values.allow("RED") && !values.allow("red"));
        assert!(service.operation("cutDBTree").unwrap().output().is_none());
    }
}
