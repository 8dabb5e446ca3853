//! A checked Sigma rule → a condition over our fields.
//!
//! What asks for a field that no record carries never holds, and is folded away: `A or B` is A where B cannot be asked. So that
//! a rule fires at least where Sigma says so, command lines are read both as written and without what hides words, but within
//! `not` only as written: an exception is never wider than its author meant.

use super::comparison::{Values, exists};
use super::condition::Expression;
use super::document::Document;
use super::fields::{Logsource, Mapping, Meaning};
use super::folded::{Folded, all, any, any_of, not};
use super::modifier::{Kind, Modifiers, Order, Place, expanded};
use super::value::Pattern;
use super::yaml::{self, Entry, Value, Wrong};
use crate::rule::condition::{Bound, Condition, Leaf, Node, Pair, PairPlace};
use crate::rule::network::Network;
use crate::rule::source::{Alternative, Source};
use crate::rule::text::TextOp;
use std::collections::{BTreeMap, BTreeSet};

/// Most values that a compiled rule may hold: names of detections may stand in a condition more than once.
const MOST_VALUES: usize = 50_000;

/// What a rule has become.
#[derive(Debug)]
pub enum Compiled {
    /// A condition, and what of the rule it leaves out.
    Active(Condition, Vec<String>),
    /// It can never hold, and why.
    Inert(String),
}

/// Values of placeholders, by name.
pub type Placeholders = BTreeMap<String, Vec<String>>;

/// Compiles a rule.
///
/// # Errors
/// Everything that is wrong with it.
pub fn compile(
    rule: &Document,
    mapping: &Mapping,
    logsource: &Logsource,
    placeholders: &Placeholders,
) -> Result<Compiled, Vec<Wrong>> {
    let mut compiler = Compiler {
        rule,
        mapping,
        logsource,
        placeholders,
        wrong: Vec::new(),
        used: BTreeSet::new(),
        values: 0,
        lost: BTreeMap::new(),
        lost_exceptions: BTreeMap::new(),
        missing: BTreeMap::new(),
        always: BTreeMap::new(),
    };
    let folded = compiler.expression(&rule.condition, true);
    // What the condition does not name is checked all the same.
    let unused: Vec<&Entry> = rule.detections.iter().filter(|d| !compiler.used.contains(&d.key)).collect();
    let found = [&compiler.lost, &compiler.lost_exceptions, &compiler.missing, &compiler.always].map(Clone::clone);
    for detection in unused {
        compiler.detection(&detection.node, true);
    }
    [compiler.lost, compiler.lost_exceptions, compiler.missing, compiler.always] = found;
    if !compiler.wrong.is_empty() {
        let mut wrong = compiler.wrong;
        wrong.sort_by_key(|w| w.line);
        wrong.dedup();
        return Err(wrong);
    }
    match folded {
        Folded::Always if compiler.missing.is_empty() && compiler.lost_exceptions.is_empty() => {
            let message = "the condition would hold for every event; write what the rule looks for";
            Err(vec![Wrong::at(rule.condition_line, message)])
        }
        // What is left of it would hold for every event.
        Folded::Always => Ok(Compiled::Inert(compiler.why_never())),
        Folded::Never => Ok(Compiled::Inert(compiler.why_never())),
        Folded::Node(node) => {
            let mut parts: Vec<Node> = logsource.requires.iter().map(|f| Node::Leaf(Leaf::Exists(*f, true))).collect();
            let root = if parts.is_empty() {
                node
            } else {
                parts.push(node);
                Node::All(parts)
            };
            Ok(Compiled::Active(Condition::new(root), compiler.limits()))
        }
    }
}

struct Compiler<'r> {
    rule: &'r Document,
    mapping: &'r Mapping,
    logsource: &'r Logsource,
    placeholders: &'r Placeholders,
    wrong: Vec<Wrong>,
    used: BTreeSet<String>,
    values: usize,
    /// Fields that no record carries and the rule asks for, with the reason.
    lost: BTreeMap<String, String>,
    /// The same within `not`.
    lost_exceptions: BTreeMap<String, String>,
    /// Fields that no record carries and whose absence the rule looks for.
    missing: BTreeMap<String, String>,
    /// Fields that no record carries and whose absence is an exception of the rule.
    always: BTreeMap<String, String>,
}

impl Compiler<'_> {
    fn refuse(&mut self, line: usize, message: impl Into<String>) -> Folded {
        self.wrong.push(Wrong::at(line, message));
        Folded::Never
    }

    fn expression(&mut self, expression: &Expression, positive: bool) -> Folded {
        if self.values > MOST_VALUES {
            return self.refuse(self.rule.condition_line, format!("the rule has more than {MOST_VALUES} values"));
        }
        match expression {
            Expression::Or(members) => any(members.iter().map(|m| self.expression(m, positive)).collect()),
            Expression::And(members) => all(members.iter().map(|m| self.expression(m, positive)).collect()),
            Expression::Not(inner) => not(self.expression(inner, !positive)),
            Expression::Name(name) => self.named(name, positive),
            Expression::Of { all: every, like } => {
                let rule = self.rule;
                let matches = |name: &str| match like {
                    Some(like) => is_like(like, name),
                    None => !name.starts_with('_'),
                };
                let names: Vec<&str> = rule.detections.iter().map(|d| d.key.as_str()).filter(|n| matches(n)).collect();
                if names.is_empty() {
                    let like = like.as_deref().unwrap_or("them");
                    return self.refuse(rule.condition_line, format!("no detection is like {like:?}"));
                }
                let members = names.into_iter().map(|name| self.named(name, positive)).collect();
                if *every { all(members) } else { any(members) }
            }
        }
    }

    fn named(&mut self, name: &str, positive: bool) -> Folded {
        let rule = self.rule;
        let Some(detection) = rule.detections.iter().find(|d| d.key == name) else {
            let hint = crate::content::fault::suggest(name, rule.detections.iter().map(|d| d.key.as_str()));
            return self.refuse(rule.condition_line, format!("there is no detection {name:?}{hint}"));
        };
        self.used.insert(name.to_owned());
        self.detection(&detection.node, positive)
    }

    /// A map: all of it. A list: any of it. A text: a word anywhere.
    fn detection(&mut self, node: &yaml::Node, positive: bool) -> Folded {
        match &node.value {
            Value::Map(entries) if entries.is_empty() => self.refuse(node.line, "a detection is empty"),
            Value::Map(entries) => all(entries.iter().map(|e| self.item(e, positive)).collect()),
            Value::List(nodes) if nodes.is_empty() => self.refuse(node.line, "a detection is empty"),
            Value::List(nodes) => any(nodes.iter().map(|n| self.detection(n, positive)).collect()),
            Value::Null => self.refuse(node.line, "a detection is empty"),
            _ => self.keywords(std::slice::from_ref(node), &Modifiers::default(), node.line, positive),
        }
    }

    /// `Field|modifier: values`.
    fn item(&mut self, entry: &Entry, positive: bool) -> Folded {
        let mut names = entry.key.split('|');
        let field = names.next().unwrap_or_default();
        let modifiers = match Modifiers::parse(names) {
            Ok(modifiers) => modifiers,
            Err(message) => return self.refuse(entry.line, format!("{}: {message}", entry.key)),
        };
        let nodes = entry.node.members();
        if nodes.is_empty() {
            return self.refuse(entry.line, format!("{}: the list is empty", entry.key));
        }
        if let Some(node) = nodes.iter().find(|n| matches!(n.value, Value::Map(_) | Value::List(_))) {
            return self.refuse(node.line, format!("{}: {} stands where a value should", entry.key, node.kind()));
        }
        if field.is_empty() {
            return self.keywords(nodes, &modifiers, entry.line, positive);
        }
        // What must not match is an exception.
        let inner = positive != modifiers.neq;
        let folded = match self.mapping.field(self.logsource, field) {
            Meaning::Source(source) => self.values(source, &modifiers, nodes, &entry.key, inner),
            Meaning::Time => self.time(&modifiers, nodes, entry, inner),
            Meaning::Absent(why) => {
                let why = why.to_owned();
                self.absent(field, &why, &modifiers, nodes, &entry.key, inner)
            }
        };
        if modifiers.neq { not(folded) } else { folded }
    }

    /// Words without a field: in any of the fields that the mapping names.
    fn keywords(&mut self, nodes: &[yaml::Node], modifiers: &Modifiers, line: usize, positive: bool) -> Folded {
        if modifiers.kind != Kind::Text || modifiers.neq || modifiers.time.is_some() {
            return self.refuse(line, "keywords are compared as texts alone");
        }
        let mut within = modifiers.clone();
        (within.place, within.all) = (Place::Contains, false);
        let logsource = self.logsource;
        let mut words = Vec::new();
        for node in nodes {
            let fields = logsource.keywords.iter().map(|field| {
                let source = Source { name: field.name().into(), alternatives: vec![Alternative::plain(*field)] };
                self.values(&source, &within, std::slice::from_ref(node), "keyword", positive)
            });
            words.push(any(fields.collect()));
        }
        if modifiers.all { all(words) } else { any(words) }
    }

    /// A field that no record carries: nothing matches it, but that it is missing.
    fn absent(
        &mut self,
        field: &str,
        why: &str,
        modifiers: &Modifiers,
        nodes: &[yaml::Node],
        key: &str,
        positive: bool,
    ) -> Folded {
        // Its values are checked as if there were one.
        let stand_in =
            Source { name: field.into(), alternatives: vec![Alternative::plain(crate::event::Field::Description)] };
        let known = self.wrong.len();
        self.values(&stand_in, modifiers, nodes, key, positive);
        if self.wrong.len() > known {
            return Folded::Never;
        }
        let is_nothing = |n: &yaml::Node| match (&n.value, modifiers.kind) {
            (Value::Boolean(wanted), Kind::Exists) => !wanted,
            (Value::Null, _) => true,
            (Value::Text(text), Kind::Text) => text.is_empty() && modifiers.place == Place::Whole,
            _ => false,
        };
        let holds = if modifiers.all { nodes.iter().all(is_nothing) } else { nodes.iter().any(is_nothing) };
        let reasons = match (holds, positive) {
            (true, true) => &mut self.missing,
            (true, false) => &mut self.always,
            (false, true) => &mut self.lost,
            (false, false) => &mut self.lost_exceptions,
        };
        reasons.insert(field.to_owned(), why.to_owned());
        if holds { Folded::Always } else { Folded::Never }
    }

    fn values(
        &mut self,
        source: &Source,
        modifiers: &Modifiers,
        nodes: &[yaml::Node],
        key: &str,
        positive: bool,
    ) -> Folded {
        self.values += nodes.len();
        if modifiers.time.is_some() {
            let line = nodes.first().map_or(0, |n| n.line);
            return self.refuse(line, format!("{key}: it is no time; sigma.toml names the fields that are"));
        }
        let mut members = Vec::new();
        // All values that are texts and of which one is enough are one search.
        let mut together = Values::default();
        for node in nodes {
            let made = match modifiers.kind {
                Kind::Exists => exists_or_not(source, node),
                Kind::Number(order) => number(source, order, node),
                Kind::FieldRef => self.other_field(source, modifiers, node, positive),
                Kind::Text | Kind::Regex { .. } | Kind::Cidr => {
                    let mut alone = Values::default();
                    let into = if modifiers.all { &mut alone } else { &mut together };
                    self.text(into, modifiers, node, positive).map(|filled| match (filled, modifiers.all) {
                        (true, true) => any_of(alone.tests(source, modifiers.cased, positive)),
                        (true, false) => Folded::Never,
                        (false, _) => Folded::Never,
                    })
                }
            };
            match made {
                Ok(folded) => members.push(folded),
                Err(message) => return self.refuse(node.line, format!("{key}: {message}")),
            }
        }
        if modifiers.all {
            return all(members);
        }
        members.push(any_of(together.tests(source, modifiers.cased, positive)));
        any(members)
    }

    /// Adds a value. False when a placeholder of it has no values.
    fn text(
        &mut self,
        values: &mut Values,
        modifiers: &Modifiers,
        node: &yaml::Node,
        positive: bool,
    ) -> Result<bool, String> {
        let Some(written) = node.scalar() else {
            // Nothing stands there: the field is missing or empty.
            if modifiers.kind != Kind::Text || modifiers.place != Place::Whole {
                return Err("null goes together with no modifier".into());
            }
            values.add_missing();
            return Ok(true);
        };
        let mut texts = vec![written];
        if modifiers.expand {
            let placeholders = self.placeholders;
            let text = texts.pop().unwrap_or_default();
            match expanded(&text, |name| placeholders.get(name).map(Vec::as_slice)) {
                Ok(all) => texts = all,
                Err(name) => {
                    let lost = if positive { &mut self.lost } else { &mut self.lost_exceptions };
                    let why = format!("[sigma.placeholders] has no {name}");
                    lost.insert(format!("%{name}%"), why);
                    return Ok(false);
                }
            }
        }
        self.values += texts.len();
        for text in texts {
            match modifiers.kind {
                Kind::Regex { i, m, s } => values.add_op(regex(&text, i, m, s)?),
                Kind::Cidr => values.add_op(TextOp::Within(vec![Network::parse(&text)?])),
                _ => {
                    let forms = modifiers.forms_of(Pattern::parse(&text))?;
                    self.values += forms.len();
                    for form in forms {
                        values.add(form, modifiers.place, modifiers.cased)?;
                    }
                }
            }
        }
        Ok(true)
    }

    fn other_field(
        &mut self,
        source: &Source,
        modifiers: &Modifiers,
        node: &yaml::Node,
        positive: bool,
    ) -> Result<Folded, String> {
        let name = node.scalar().ok_or("fieldref wants the name of a field")?;
        let right = match self.mapping.field(self.logsource, &name) {
            Meaning::Source(right) => right.clone(),
            Meaning::Time => return Err(format!("{name} is the time of the event, which is no text")),
            Meaning::Absent(why) => {
                let why = why.to_owned();
                let lost = if positive { &mut self.lost } else { &mut self.lost_exceptions };
                lost.insert(name, why);
                return Ok(Folded::Never);
            }
        };
        let place = match modifiers.place {
            Place::Whole => PairPlace::Whole,
            Place::Contains => PairPlace::Within,
            Place::StartsWith => PairPlace::Start,
            Place::EndsWith => PairPlace::End,
        };
        let pair = Pair { left: source.clone(), right, place, case: modifiers.cased };
        Ok(Folded::Node(Node::Leaf(Leaf::Pair(Box::new(pair)))))
    }

    /// A part of the time of the event.
    fn time(&mut self, modifiers: &Modifiers, nodes: &[yaml::Node], entry: &Entry, positive: bool) -> Folded {
        let Some(part) = modifiers.time else {
            let why = "the time of an event is compared by its minute, hour, day, week, month or year alone";
            let field = entry.key.split('|').next().unwrap_or_default().to_owned();
            return self.absent(&field, why, modifiers, nodes, &entry.key, positive);
        };
        let mut members = Vec::new();
        for node in nodes {
            match whole(node, modifiers.kind) {
                Ok(Some(bound)) => members.push(Folded::Node(Node::Leaf(Leaf::Time(part, bound)))),
                Ok(None) => members.push(Folded::Never),
                Err(message) => return self.refuse(node.line, format!("{}: {message}", entry.key)),
            }
        }
        if modifiers.all { all(members) } else { any(members) }
    }

    fn why_never(&self) -> String {
        let mut reasons = Vec::new();
        let all = [
            (&self.lost, "it needs"),
            (&self.always, "it leaves out every record without"),
            (&self.missing, "it looks for records without"),
            (&self.lost_exceptions, "without exceptions by these it would hold for every event:"),
        ];
        // Exceptions only matter where nothing else is left.
        let most = if self.lost.is_empty() && self.always.is_empty() { all.len() } else { 3 };
        for (fields, before) in all.into_iter().take(most) {
            for (why, names) in by_reason(fields) {
                reasons.push(format!("{before} {}: {why}", names.join(", ")));
            }
        }
        if reasons.is_empty() { "its condition contradicts itself".into() } else { reasons.join("; ") }
    }

    fn limits(&self) -> Vec<String> {
        let mut limits = Vec::new();
        for (why, names) in by_reason(&self.lost) {
            limits.push(format!("what asks for {} never holds: {why}", names.join(", ")));
        }
        for (why, names) in by_reason(&self.missing) {
            limits.push(format!(
                "holds whatever there is, where it looks for records without {}: {why}",
                names.join(", ")
            ));
        }
        for (why, names) in by_reason(&self.lost_exceptions) {
            limits.push(format!("fires more often: exceptions by {} never hold: {why}", names.join(", ")));
        }
        limits
    }
}

fn by_reason(fields: &BTreeMap<String, String>) -> BTreeMap<&str, Vec<&str>> {
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (field, why) in fields {
        reasons.entry(why).or_default().push(field);
    }
    reasons
}

/// Whether a name is like a pattern of `1 of`: `*` is any run of characters.
fn is_like(like: &str, name: &str) -> bool {
    use crate::rule::glob::{Glob, Part};
    let mut parts = Vec::new();
    for (n, text) in like.split('*').enumerate() {
        if n > 0 {
            parts.push(Part::Any);
        }
        if !text.is_empty() {
            parts.push(Part::Text(text.into()));
        }
    }
    Glob::new(&parts, true).is_some_and(|glob| glob.holds(name.as_bytes()))
}

fn exists_or_not(source: &Source, node: &yaml::Node) -> Result<Folded, String> {
    match &node.value {
        Value::Boolean(true) => Ok(Folded::Node(exists(source))),
        Value::Boolean(false) => Ok(not(Folded::Node(exists(source)))),
        _ => Err("exists wants true or false".into()),
    }
}

fn number(source: &Source, order: Order, node: &yaml::Node) -> Result<Folded, String> {
    let bound = whole(node, Kind::Number(order))?;
    let field = source.field().ok_or("it is made of several fields, which is no number")?;
    Ok(bound.map_or(Folded::Never, |bound| Folded::Node(Node::Leaf(Leaf::Number(field, bound)))))
}

/// A bound for whole numbers from 0, of any number; `None` when none of them is within it.
fn whole(node: &yaml::Node, kind: Kind) -> Result<Option<Bound>, String> {
    let text = node.scalar().unwrap_or_default();
    let wrong = || format!("{text:?} is no number");
    let n: f64 = text.trim().parse().map_err(|_| wrong())?;
    if !n.is_finite() {
        return Err(wrong());
    }
    // The cast saturates: nothing is below 0, and what is beyond u64 is beyond every number of a record.
    let exact = text.trim().parse::<u64>().ok();
    let (floor, ceil) = (exact.unwrap_or(n.floor() as u64), exact.unwrap_or(n.ceil() as u64));
    let negative = n < 0.0;
    Ok(match kind {
        Kind::Number(Order::Gt) if negative => Some(Bound::Ge(0)),
        Kind::Number(Order::Gt) => Some(Bound::Gt(floor)),
        Kind::Number(Order::Gte) => Some(Bound::Ge(ceil)),
        Kind::Number(Order::Lt | Order::Lte) if negative => None,
        Kind::Number(Order::Lt) => Some(Bound::Lt(ceil)),
        Kind::Number(Order::Lte) => Some(Bound::Le(floor)),
        _ if negative || floor != ceil => None,
        _ => Some(Bound::Eq(floor)),
    })
}

fn regex(text: &str, i: bool, m: bool, s: bool) -> Result<TextOp, String> {
    let flags: String = [(m, 'm'), (s, 's')].into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).collect();
    let pattern = if flags.is_empty() { text.to_owned() } else { format!("(?{flags}){text}") };
    TextOp::pcre(&pattern, !i)
}
