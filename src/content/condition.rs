//! Reads a condition: `all`, `any`, `not`, tests of fields and flags, and the operators on command lines.
//!
//! A table with several keys means all of them. A text or a list means "equals (any of)"; a table gives other tests.

use super::fault::{Faults, suggest};
use super::section::{Section, TextOrTable};
use super::tables::TableTexts;
use crate::event::{Field, Flag};
use crate::rule::condition::{Bound, Condition, Leaf, Node};
use crate::rule::operator::{Operator, SwitchTest};
use crate::rule::text::{Literal, Needles, TextOp, TextTest};
use crate::rule::tools::Tools;
use std::sync::Arc;

/// What conditions may refer to.
#[derive(Debug)]
pub struct Vocabulary {
    /// The tables.
    pub tables: TableTexts,
    /// How tools write their switches.
    pub tools: Arc<Tools>,
}

const GROUPS: &[&str] = &["all", "any", "not"];
const OPERATORS: &[&str] = &[
    "token",
    "arg",
    "arg_first",
    "arg_last",
    "first_operand",
    "arg_after",
    "after_switches",
    "sequence",
    "switch",
    "switch_all",
    "switch_prefix",
];
const TEXT_KEYS: &[&str] =
    &["equals", "contains", "starts_with", "ends_with", "path_component", "regex", "in_table", "unc", "case"];
type MakeBound = fn(u64) -> Bound;
const BOUNDS: [(&str, MakeBound); 4] = [("gt", Bound::Gt), ("ge", Bound::Ge), ("lt", Bound::Lt), ("le", Bound::Le)];
const FIELD_KEYS: &[&str] = &["exists", "gt", "ge", "lt", "le"];

/// Reads the `condition` of a rule or model.
pub fn read(owner: &Section<'_>, vocabulary: &Vocabulary, faults: &mut Faults) -> Condition {
    if !owner.has("condition") {
        owner.fault(faults, owner.line, "condition is missing");
        return Condition::default();
    }
    match owner.table("condition", faults) {
        Some(section) => Condition::new(Reader { vocabulary, faults }.node(&section)),
        None => Condition::default(),
    }
}

struct Reader<'a> {
    vocabulary: &'a Vocabulary,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    /// A table: all of its keys.
    fn node(&mut self, section: &Section<'_>) -> Node {
        let mut parts = Vec::new();
        for key in section.keys_as_written() {
            match key {
                "all" => parts.extend(self.nodes(section, key)),
                "any" => parts.push(Node::Any(self.nodes(section, key))),
                "not" => parts.extend(self.nodes(section, key).into_iter().map(|n| Node::Not(Box::new(n)))),
                _ => self.test(section, key, &mut parts),
            }
        }
        if section.keys().next().is_none() {
            section.fault(self.faults, section.line, "an empty condition says nothing; write a test");
        }
        let fields = Field::ALL.iter().map(|f| f.name()).chain(["dest_host", "src_host"]);
        let known: Vec<&str> =
            GROUPS.iter().chain(OPERATORS).copied().chain(Flag::ALL.iter().map(|f| f.name())).chain(fields).collect();
        section.finish(&known, self.faults);
        match parts.len() {
            1 => parts.pop().unwrap_or_default(),
            _ => Node::All(parts),
        }
    }

    fn nodes(&mut self, section: &Section<'_>, key: &str) -> Vec<Node> {
        let sections = section.tables(key, self.faults);
        if sections.is_empty() {
            section.fault(self.faults, section.line_of(key), format!("{key} has no members"));
        }
        sections.iter().map(|s| self.node(s)).collect()
    }

    /// A key that is no group. Unknown keys are left for [`Section::finish`].
    fn test(&mut self, section: &Section<'_>, key: &str, parts: &mut Vec<Node>) {
        if let Some(flag) = Flag::from_name(key) {
            let wanted = section.boolean(key, self.faults).unwrap_or(true);
            parts.push(Node::Leaf(Leaf::Flag(flag, wanted)));
        } else if OPERATORS.contains(&key) {
            self.operator(section, key, parts);
        } else if let Some(field) = Field::resolve(key) {
            self.field(section, key, field, parts);
        }
    }

    fn field(&mut self, section: &Section<'_>, key: &str, field: Field, parts: &mut Vec<Node>) {
        if !section.is_table(key) {
            let texts = section.strings(key, self.faults).unwrap_or_default();
            let test = self.equals(section, key, &texts, field);
            parts.push(Node::Leaf(Leaf::text(field, test)));
            return;
        }
        let Some(inner) = section.table(key, self.faults) else { return };
        let before = parts.len();
        if let Some(wanted) = inner.boolean("exists", self.faults) {
            parts.push(Node::Leaf(Leaf::Exists(field, wanted)));
        }
        for (name, bound) in BOUNDS {
            if let Some(n) = inner.unsigned(name, self.faults) {
                parts.push(Node::Leaf(Leaf::Number(field, bound(n))));
            }
        }
        let test = self.text(&inner, field);
        if !test.ops.is_empty() {
            parts.push(Node::Leaf(Leaf::text(field, test)));
        }
        self.finish_text(&inner, parts.len() == before, FIELD_KEYS);
    }

    fn operator(&mut self, section: &Section<'_>, key: &str, parts: &mut Vec<Node>) {
        let operator = match key {
            "token" => self.text_at(section, key, &[]).map(Operator::Token),
            "arg" => self.text_at(section, key, &[]).map(Operator::Arg),
            "arg_first" => self.text_at(section, key, &[]).map(Operator::ArgFirst),
            "arg_last" => self.text_at(section, key, &[]).map(Operator::ArgLast),
            "first_operand" => self.text_at(section, key, &[]).map(Operator::FirstOperand),
            "after_switches" => self.text_at(section, key, &[]).map(Operator::AfterSwitches),
            "arg_after" => self.arg_after(section),
            "sequence" => self.sequence(section),
            "switch_all" => {
                let names = section.strings(key, self.faults).unwrap_or_default();
                let each = names.iter().map(|name| self.switch_named(&[name.as_str()], false, false, None));
                parts.extend(each.map(|s| self.command(s)).collect::<Vec<_>>());
                return;
            }
            "switch_prefix" => {
                let names = section.strings(key, self.faults).unwrap_or_default();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Some(self.switch_named(&names, true, false, None))
            }
            _ => self.switch(section),
        };
        parts.extend(operator.map(|o| self.command(o)));
    }

    fn command(&self, operator: Operator) -> Node {
        Node::Leaf(Leaf::operator(operator, self.vocabulary.tools.clone()))
    }

    /// `switch = "i"`, `["i", "interface"]` or `{ name = …, case = true, value = … }`.
    fn switch(&mut self, section: &Section<'_>) -> Option<Operator> {
        if !section.is_table("switch") {
            let names = section.strings("switch", self.faults)?;
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            return Some(self.switch_named(&names, false, false, None));
        }
        let inner = section.table("switch", self.faults)?;
        if !inner.has("name") {
            inner.fault(self.faults, inner.line, "switch needs a name");
        }
        let names = inner.strings("name", self.faults).unwrap_or_default();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let case = inner.boolean("case", self.faults).unwrap_or(false);
        let value = if inner.has("value") { self.text_at(&inner, "value", &[]) } else { None };
        inner.finish(&["name", "case", "value"], self.faults);
        Some(self.switch_named(&names, false, case, value))
    }

    fn switch_named(&self, names: &[&str], body: bool, case: bool, value: Option<TextTest>) -> Operator {
        let test = |case: bool| {
            let literals = Literal::list(names.iter().copied(), case);
            TextTest { ops: vec![if body { TextOp::StartsWith(literals) } else { TextOp::Equals(literals) }] }
        };
        Operator::Switch(SwitchTest { folded: test(false), exact: test(true), case, body, value })
    }

    /// `arg_after = { after = "a", path_component = "1.7z" }`.
    fn arg_after(&mut self, section: &Section<'_>) -> Option<Operator> {
        let inner = section.table("arg_after", self.faults)?;
        if !inner.has("after") {
            inner.fault(self.faults, inner.line, "arg_after needs after, the argument that stands before");
        }
        let after = self.text_at(&inner, "after", &[]);
        let test = self.text(&inner, Field::CommandLine);
        self.finish_text(&inner, test.ops.is_empty(), &["after"]);
        Some(Operator::ArgAfter { after: after?, test })
    }

    fn sequence(&mut self, section: &Section<'_>) -> Option<Operator> {
        let members = section.texts_or_tables("sequence", self.faults);
        if members.len() < 2 {
            section.fault(self.faults, section.line_of("sequence"), "sequence needs at least two members");
            return None;
        }
        let tests = members.iter().map(|member| match member {
            TextOrTable::Text(text, _) => TextTest::equals([text.as_str()], false),
            TextOrTable::Table(inner) => {
                let test = self.text(inner, Field::CommandLine);
                self.finish_text(inner, test.ops.is_empty(), &[]);
                test
            }
        });
        Some(Operator::Sequence(tests.collect()))
    }

    /// The test at a key: a text or list, or a table.
    fn text_at(&mut self, section: &Section<'_>, key: &str, more: &[&str]) -> Option<TextTest> {
        if !section.is_table(key) {
            let texts = section.strings(key, self.faults)?;
            return Some(self.equals(section, key, &texts, Field::CommandLine));
        }
        let inner = section.table(key, self.faults)?;
        let test = self.text(&inner, Field::CommandLine);
        self.finish_text(&inner, test.ops.is_empty(), more);
        Some(test)
    }

    fn equals(&mut self, section: &Section<'_>, key: &str, texts: &[String], field: Field) -> TextTest {
        if texts.is_empty() {
            section.fault(self.faults, section.line_of(key), format!("{key} has nothing to compare with"));
        }
        TextTest::equals(texts.iter().map(|t| plain_image(t, field)), false)
    }

    /// The comparisons of a table.
    fn text(&mut self, inner: &Section<'_>, field: Field) -> TextTest {
        let case = inner.boolean("case", self.faults).unwrap_or(false);
        let mut ops = Vec::new();
        for key in TEXT_KEYS.iter().filter(|k| inner.has(k)) {
            match *key {
                "case" => {}
                "unc" => {
                    if inner.boolean("unc", self.faults) == Some(false) {
                        inner.fault(self.faults, inner.line_of("unc"), "unc = false is no test; write not = {…}");
                    }
                    ops.push(TextOp::Unc);
                }
                "in_table" => ops.extend(self.in_table(inner)),
                "regex" => ops.extend(self.regex(inner, case)),
                key => {
                    let texts = inner.strings(key, self.faults).unwrap_or_default();
                    if texts.is_empty() {
                        inner.fault(self.faults, inner.line_of(key), format!("{key} has nothing to compare with"));
                    }
                    if field == Field::CommandLine && texts.iter().any(|t| t.contains('^')) {
                        let message = "command lines are compared without their carets; write it without";
                        inner.fault(self.faults, inner.line_of(key), message);
                    }
                    let texts = texts.iter().map(String::as_str);
                    ops.push(match key {
                        "equals" => TextOp::Equals(Literal::list(texts.map(|t| plain_image(t, field)), case)),
                        "contains" => TextOp::Contains(Needles::new(texts, case)),
                        "starts_with" => TextOp::StartsWith(Literal::list(texts, case)),
                        "ends_with" => TextOp::EndsWith(Literal::list(texts, case)),
                        _ => TextOp::PathComponent(Literal::list(texts, case)),
                    });
                }
            }
        }
        TextTest { ops }
    }

    fn regex(&mut self, inner: &Section<'_>, case: bool) -> Option<TextOp> {
        let pattern = inner.string("regex", self.faults)?;
        match TextOp::regex(&pattern, case) {
            Ok(op) => Some(op),
            Err(message) => {
                inner.fault(self.faults, inner.line_of("regex"), message);
                None
            }
        }
    }

    fn in_table(&mut self, inner: &Section<'_>) -> Option<TextOp> {
        let name = inner.string("in_table", self.faults)?;
        if let Some(set) = self.vocabulary.tables.set(&name) {
            return Some(TextOp::InTable(name, set));
        }
        let hint = suggest(&name, self.vocabulary.tables.texts.keys().map(String::as_str));
        inner.fault(self.faults, inner.line_of("in_table"), format!("unknown table {name:?}{hint}"));
        None
    }

    fn finish_text(&mut self, inner: &Section<'_>, empty: bool, more: &[&str]) {
        // A test that could not be read has been reported already.
        if empty && !inner.keys().any(|k| TEXT_KEYS.contains(&k) && k != "case") {
            inner.fault(self.faults, inner.line, "this test compares nothing; write equals, contains, regex, …");
        }
        let known: Vec<&str> = TEXT_KEYS.iter().chain(more).copied().collect();
        inner.finish(&known, self.faults);
    }
}

/// Images are compared without extension; content may write it all the same.
fn plain_image(text: &str, field: Field) -> &str {
    let is_extension = |tail: &str| tail.eq_ignore_ascii_case(".exe") || tail.eq_ignore_ascii_case(".com");
    match (field, text.len().checked_sub(4).and_then(|at| text.split_at_checked(at))) {
        (Field::Image | Field::ParentImage, Some((name, tail))) if is_extension(tail) => name,
        _ => text,
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
