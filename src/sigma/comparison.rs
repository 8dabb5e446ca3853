//! Values of one field → tests: those of the same kind become one test, so that a long list is one search.

use super::modifier::{Place, placed};
use super::value::Pattern;
use crate::event::Field;
use crate::rule::condition::{Leaf, Node};
use crate::rule::glob::{Glob, Part};
use crate::rule::source::Source;
use crate::rule::text::{Literal, Needles, Patterns, TextOp, TextTest};
use std::sync::Arc;

/// Values of which one must match, by how they are compared.
#[derive(Default)]
pub struct Values {
    equals: Vec<String>,
    contains: Vec<String>,
    starts: Vec<String>,
    ends: Vec<String>,
    globs: Vec<Glob>,
    others: Vec<TextOp>,
    /// A value that every text matches.
    present: bool,
    /// A value that only a missing text matches.
    missing: bool,
}

impl Values {
    /// Adds a value that must stand at a place.
    ///
    /// # Errors
    /// When what it makes is too large.
    pub fn add(&mut self, pattern: Pattern, place: Place, case: bool) -> Result<(), String> {
        let parts = placed(pattern, place);
        let first = parts.iter().position(|p| *p != Part::Any);
        let last = parts.iter().rposition(|p| *p != Part::Any);
        let (Some(first), Some(last)) = (first, last) else {
            // Nothing but `*`, or nothing.
            if parts.is_empty() {
                self.missing = true
            } else {
                self.present = true
            }
            return Ok(());
        };
        match (parts.get(first..=last), first > 0, last + 1 < parts.len()) {
            (Some([Part::Text(text)]), open, closed) => {
                let list = match (open, closed) {
                    (false, false) => &mut self.equals,
                    (true, true) => &mut self.contains,
                    (false, true) => &mut self.starts,
                    (true, false) => &mut self.ends,
                };
                list.push(text.clone());
            }
            _ => match Glob::new(&parts, case) {
                Some(glob) => self.globs.push(glob),
                None => self.others.push(TextOp::like(&parts)?),
            },
        }
        Ok(())
    }

    /// Adds another comparison.
    pub fn add_op(&mut self, op: TextOp) {
        self.others.push(op);
    }

    /// Adds the value that only a missing text matches.
    pub fn add_missing(&mut self) {
        self.missing = true;
    }

    /// The tests of which one must hold. `hidden` looks into command lines that hide words, too.
    pub fn tests(self, source: &Source, case: bool, hidden: bool) -> Vec<Node> {
        let list = |texts: &[String]| Literal::list(texts.iter().map(String::as_str), case);
        let mut ops = Vec::new();
        if !self.equals.is_empty() {
            ops.push(TextOp::Equals(list(&self.equals)));
        }
        if !self.starts.is_empty() {
            ops.push(TextOp::StartsWith(list(&self.starts)));
        }
        if !self.ends.is_empty() {
            ops.push(TextOp::EndsWith(list(&self.ends)));
        }
        if !self.contains.is_empty() {
            ops.push(TextOp::Contains(Needles::new(self.contains.iter().map(String::as_str), case)));
        }
        if !self.globs.is_empty() {
            ops.push(TextOp::Glob(Patterns::new(self.globs)));
        }
        ops.extend(self.others);
        let mut nodes: Vec<Node> =
            ops.into_iter().map(|op| Node::Leaf(leaf(source, TextTest { ops: vec![op] }, hidden))).collect();
        if self.present {
            nodes.push(exists(source));
        }
        if self.missing {
            nodes.push(Node::Not(Box::new(exists(source))));
        }
        nodes
    }
}

fn leaf(source: &Source, test: TextTest, hidden: bool) -> Leaf {
    match source.field() {
        Some(Field::CommandLine) => Leaf::raw_line(test, hidden),
        Some(field) => Leaf::Text(field, test),
        None => Leaf::Made(Arc::new(source.clone()), test),
    }
}

/// Whether a text is there.
pub fn exists(source: &Source) -> Node {
    let there = |fields: &[Field]| {
        let mut nodes: Vec<Node> = fields.iter().map(|f| Node::Leaf(Leaf::Exists(*f, true))).collect();
        if nodes.len() == 1 { nodes.pop().unwrap_or_default() } else { Node::All(nodes) }
    };
    let mut nodes: Vec<Node> = source.alternatives.iter().map(|a| there(&a.fields)).collect();
    if nodes.len() == 1 { nodes.pop().unwrap_or_default() } else { Node::Any(nodes) }
}
