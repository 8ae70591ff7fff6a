//! Parallel states.

use super::block::block;
use super::checker::{Checker, Fields};
use super::fields::{self, unsupported};
use super::source::Content;
use super::{io, retry};
use crate::{BlockId, Parallel};

pub(crate) fn parallel(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Parallel {
    Parallel {
        io: io::io(checker, fields),
        branches: branches(checker, fields),
        retry: retry::retriers(checker, fields),
        catch: retry::catchers(checker, fields),
        assign: io::assign(checker, fields),
        transition: fields::transition(checker, fields),
    }
}

fn branches(checker: &mut Checker<'_>, fields: &Fields<'_>) -> Vec<BlockId> {
    let Some(node) = fields.required(checker, "Branches") else { return Vec::new() };
    let pointer = fields.pointer.key("Branches");
    let Content::Array(items) = &node.content else {
        checker.schema(&pointer, &node.span, "Expected value of type [ARRAY]");
        return Vec::new();
    };
    if items.is_empty() {
        checker.schema(&pointer, &node.span, "Branches must not be empty");
    }
    let mut branches = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let pointer = pointer.index(index);
        if let Some(branch) = fields.inner(checker, item, &pointer) {
            unsupported(checker, &branch, &["StartAt", "States", "Comment"]);
            branches.push(block(checker, &branch));
        }
    }
    branches
}
