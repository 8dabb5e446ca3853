//! Conditions over the fields of one event: `all`, `any` and `not` over tests of fields, flags and the command line.
//!
//! Pure: the same event always gives the same answer. Nothing is allocated while judging; [`Scratch`] is reused.

use super::anchor;
use super::literals::LiteralSet;
use super::operator::Operator;
use super::scratch::Scratch;
use super::source::Source;
use super::text::{TextOp, TextTest};
use super::tools::Tools;
use crate::event::{EventView, Field, FieldSet, Flag};
use std::sync::Arc;

/// A compiled condition. The default one always holds.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// As content says it: for explanations.
    written: Arc<Node>,
    /// The same with what is quickly asked first: for judging.
    quick: Arc<Node>,
}

/// A node of a condition.
#[derive(Clone, Debug)]
pub enum Node {
    /// Every member holds; an empty list holds.
    All(Vec<Node>),
    /// Some member holds.
    Any(Vec<Node>),
    /// The member does not hold.
    Not(Box<Node>),
    /// One test.
    Leaf(Leaf),
}

/// One test of an event.
#[derive(Clone, Debug)]
pub enum Leaf {
    /// A flag is set or not.
    Flag(Flag, bool),
    /// A field is there or not.
    Exists(Field, bool),
    /// A field's text passes. A missing field never passes.
    Text(Field, TextTest),
    /// The command line passes. A missing one never does.
    Line(Box<LineTest>),
    /// A field is a number in a range. A missing field, or one that is no number, never passes.
    Number(Field, Bound),
    /// What is more than a field passes. A missing text never does.
    Made(Arc<Source>, TextTest),
    /// Two texts compare. A missing one never does.
    Pair(Box<Pair>),
    /// The event's time in UTC has a part in a range.
    Time(TimePart, Bound),
}

/// A comparison of two texts of the same event.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What is looked at.
    pub left: Source,
    /// What it is compared with.
    pub right: Source,
    /// Where in the left one the right one must stand.
    pub place: PairPlace,
    /// Whether case counts; ASCII letters only are folded.
    pub case: bool,
}

/// Where one text stands in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PairPlace {
    /// It is all of it.
    Whole,
    /// It begins it.
    Start,
    /// It ends it.
    End,
    /// It is a part of it.
    Within,
}

/// A test of the command line, with a quick look that spares most lines the cutting.
#[derive(Clone, Debug)]
pub struct LineTest {
    /// What is asked.
    pub ask: Ask,
    /// Literals of which the line must have one, for each set.
    hints: Vec<LiteralSet>,
}

/// What may be asked of a command line.
#[derive(Clone, Debug)]
pub enum Ask {
    /// The line as a text, normalised.
    Text(TextTest),
    /// The line as it was written.
    Raw(TextTest),
    /// The line as it was written, or normalised: a test that neither carets, quotes and blanks hide something from, nor the
    /// removal of them.
    Either(TextTest),
    /// Its tokens, arguments and switches, read with the styles of the tools.
    Operator(Operator, Arc<Tools>),
}

/// A limit for a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// More than.
    Gt(u64),
    /// At least.
    Ge(u64),
    /// Less than.
    Lt(u64),
    /// At most.
    Le(u64),
    /// Exactly.
    Eq(u64),
}

/// A part of a time, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePart {
    /// Minute of the hour, from 0.
    Minute,
    /// Hour of the day, from 0.
    Hour,
    /// Day of the month, from 1.
    Day,
    /// Week of the year by ISO 8601, from 1.
    Week,
    /// Month of the year, from 1.
    Month,
    /// Year.
    Year,
}

impl TimePart {
    /// The part of a time in milliseconds since the epoch.
    fn of(self, ms: i64) -> u64 {
        let minutes = ms.div_euclid(60_000);
        let date = match self {
            TimePart::Minute => minutes.rem_euclid(60),
            TimePart::Hour => minutes.div_euclid(60).rem_euclid(24),
            TimePart::Day | TimePart::Week | TimePart::Month | TimePart::Year => {
                let date = crate::calendar::Date::of(ms);
                match self {
                    TimePart::Day => date.day,
                    TimePart::Week => date.week,
                    TimePart::Month => date.month,
                    _ => date.year,
                }
            }
        };
        u64::try_from(date).unwrap_or_default()
    }

    /// The spelling in explanations.
    pub const fn name(self) -> &'static str {
        match self {
            TimePart::Minute => "minute",
            TimePart::Hour => "hour",
            TimePart::Day => "day",
            TimePart::Week => "week",
            TimePart::Month => "month",
            TimePart::Year => "year",
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        Node::All(Vec::new())
    }
}

impl Condition {
    /// A condition.
    pub fn new(root: Node) -> Condition {
        let mut quick = root.clone();
        quick.sort();
        Condition { written: Arc::new(root), quick: Arc::new(quick) }
    }

    /// The tree, its members in the order in which content names them.
    pub fn written(&self) -> &Node {
        &self.written
    }

    /// The tree, its members in the order of their cost.
    pub(super) fn quick(&self) -> &Node {
        &self.quick
    }

    /// The members of an `any` as conditions of their own, else the condition itself: it holds when one of them does.
    pub fn alternatives(&self) -> Vec<Condition> {
        match &*self.written {
            Node::Any(nodes) => nodes.iter().cloned().map(Condition::new).collect(),
            _ => vec![self.clone()],
        }
    }

    /// Whether the condition holds for an event.
    pub fn holds(&self, event: EventView<'_>, scratch: &mut Scratch) -> bool {
        scratch.begin();
        self.quick.holds(event, scratch)
    }

    /// Every field that the condition reads, and those that enrichment sets its flags by.
    pub fn reads(&self) -> FieldSet {
        let mut set = FieldSet::default();
        self.quick.each_leaf(&mut |leaf| set = set.union(leaf.reads()));
        set
    }

    /// The fields on whose texts alone, beside the event's type and flags, it depends whether the condition holds; `None` when it
    /// depends on something else.
    pub(super) fn asks(&self) -> Option<FieldSet> {
        let mut asked = Some(FieldSet::default());
        self.quick.each_leaf(&mut |leaf| {
            asked = match leaf {
                Leaf::Flag(..) => asked,
                Leaf::Time(..) => None,
                _ => asked.map(|set| set.union(leaf.reads())),
            }
        });
        asked
    }

    /// Fields without which the condition can never hold; each inner set is "one of".
    pub fn needs(&self) -> Vec<FieldSet> {
        self.quick.needs()
    }
}

impl Node {
    /// Whether the node holds, with a scratch that is at this event.
    pub(super) fn holds(&self, event: EventView<'_>, scratch: &mut Scratch) -> bool {
        match self {
            Node::All(nodes) => nodes.iter().all(|n| n.holds(event, scratch)),
            Node::Any(nodes) => nodes.iter().any(|n| n.holds(event, scratch)),
            Node::Not(node) => !node.holds(event, scratch),
            Node::Leaf(leaf) => leaf.holds(event, scratch),
        }
    }

    /// Fields of the event itself without which the node cannot hold: a quick look before judging.
    pub(super) fn must_have(&self) -> FieldSet {
        match self {
            Node::All(nodes) => nodes.iter().fold(FieldSet::default(), |all, n| all.union(n.must_have())),
            Node::Any(nodes) => {
                nodes.iter().map(Node::must_have).reduce(|a, b| FieldSet(a.0 & b.0)).unwrap_or_default()
            }
            Node::Not(_) => FieldSet::default(),
            Node::Leaf(leaf) => leaf.must_have(),
        }
    }

    fn each_leaf(&self, see: &mut impl FnMut(&Leaf)) {
        match self {
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|n| n.each_leaf(see)),
            Node::Not(node) => node.each_leaf(see),
            Node::Leaf(leaf) => see(leaf),
        }
    }

    fn sort(&mut self) {
        match self {
            Node::All(nodes) | Node::Any(nodes) => {
                nodes.iter_mut().for_each(Node::sort);
                nodes.sort_by_key(Node::cost);
            }
            Node::Not(node) => node.sort(),
            Node::Leaf(_) => {}
        }
    }

    fn cost(&self) -> u32 {
        match self {
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().map(Node::cost).sum(),
            Node::Not(node) => node.cost(),
            Node::Leaf(leaf) => leaf.cost(),
        }
    }

    fn needs(&self) -> Vec<FieldSet> {
        match self {
            Node::All(nodes) => absorb(nodes.iter().flat_map(Node::needs).collect()),
            Node::Any(nodes) => nodes.iter().map(Node::needs).reduce(either).unwrap_or_default(),
            Node::Not(_) => Vec::new(),
            Node::Leaf(leaf) => leaf.needs(),
        }
    }
}

/// Clauses beyond which the needs of alternatives are given up: a rule is then never called inert for them.
const MAX_CLAUSES: usize = 256;

/// What two alternatives need together: one clause of each, in every combination.
fn either(a: Vec<FieldSet>, b: Vec<FieldSet>) -> Vec<FieldSet> {
    if a.len().saturating_mul(b.len()) > MAX_CLAUSES {
        return Vec::new();
    }
    absorb(a.iter().flat_map(|x| b.iter().map(|y| x.union(*y))).collect())
}

/// Drops every "one of" that a narrower one implies.
fn absorb(mut clauses: Vec<FieldSet>) -> Vec<FieldSet> {
    clauses.sort_by_key(|c| (c.0.count_ones(), c.0));
    let mut kept: Vec<FieldSet> = Vec::new();
    for clause in clauses {
        if !kept.iter().any(|k| k.0 & clause.0 == k.0) {
            kept.push(clause);
        }
    }
    kept
}

/// The fields that a flag is made from.
fn sources(flag: Flag) -> FieldSet {
    match flag {
        Flag::IsTemp => FieldSet::of(Field::ProcessDir),
        Flag::IsFileSharing => FieldSet::of(Field::WebDomain).union(FieldSet::of(Field::Category)),
        Flag::IsDynamicDns | Flag::IsSanctioned => FieldSet::of(Field::WebDomain),
    }
}

impl LineTest {
    fn new(ask: Ask) -> LineTest {
        let form = anchor::Form::of(&ask);
        let pieces = ask.texts().into_iter().filter_map(|t| anchor::pieces(form, t, anchor::HINT));
        let hints = pieces.filter_map(|p| {
            let literals: Vec<_> = p.into_iter().map(|text| (text, vec![0])).collect();
            LiteralSet::new(&literals)
        });
        LineTest { hints: hints.collect(), ask }
    }

    fn holds(&self, event: EventView<'_>, scratch: &mut Scratch) -> bool {
        if !self.hints.is_empty() {
            let Some(text) = scratch.prepared(event) else { return false };
            if !self.hints.iter().all(|hint| hint.any_within(text)) {
                return false;
            }
        }
        match &self.ask {
            Ask::Text(test) => passes_normalised(test, event, scratch),
            Ask::Raw(test) => event.get(Field::CommandLine).is_some_and(|text| test.holds(text)),
            Ask::Either(test) => {
                event.get(Field::CommandLine).is_some_and(|text| test.holds(text))
                    || (scratch.differs(event) && passes_normalised(test, event, scratch))
            }
            Ask::Operator(operator, tools) => {
                scratch.line(event, tools).is_some_and(|line| operator.find(&line).is_some())
            }
        }
    }
}

/// Whether the normalised command line passes; `contains` reads it without the quotes in words.
fn passes_normalised(test: &TextTest, event: EventView<'_>, scratch: &mut Scratch) -> bool {
    test.ops.iter().all(|op| {
        let text = match op {
            TextOp::Contains(_) => scratch.joined(event),
            _ => scratch.cmd(event),
        };
        text.is_some_and(|text| op.holds(text))
    })
}

impl Ask {
    /// The tests of which each needs some text of the command line.
    pub(super) fn texts(&self) -> Vec<&TextTest> {
        match self {
            Ask::Text(test) | Ask::Raw(test) | Ask::Either(test) => vec![test],
            Ask::Operator(operator, _) => operator.texts(),
        }
    }
}

impl Leaf {
    /// A test of a field's text.
    pub fn text(field: Field, test: TextTest) -> Leaf {
        match field {
            Field::CommandLine => Leaf::Line(Box::new(LineTest::new(Ask::Text(test)))),
            _ => Leaf::Text(field, test),
        }
    }

    /// A test of the command line as it was written; `hidden` finds what carets, quotes and blanks hide, too.
    pub fn raw_line(test: TextTest, hidden: bool) -> Leaf {
        Leaf::Line(Box::new(LineTest::new(if hidden { Ask::Either(test) } else { Ask::Raw(test) })))
    }

    /// A test of the command line's parts.
    pub fn operator(operator: Operator, tools: Arc<Tools>) -> Leaf {
        Leaf::Line(Box::new(LineTest::new(Ask::Operator(operator, tools))))
    }

    pub(super) fn holds(&self, event: EventView<'_>, scratch: &mut Scratch) -> bool {
        match self {
            Leaf::Flag(flag, wanted) => event.draft.flags.has(*flag) == *wanted,
            Leaf::Exists(field, wanted) => event.draft.present.contains(*field) == *wanted,
            Leaf::Text(field, test) => event.get(*field).is_some_and(|text| test.holds(text)),
            Leaf::Number(field, bound) => event.number(*field).is_some_and(|n| bound.holds(n)),
            Leaf::Line(line) => line.holds(event, scratch),
            Leaf::Made(source, test) => source.text(event, scratch.made()).is_some_and(|text| test.holds(text)),
            Leaf::Pair(pair) => pair.holds(event, scratch),
            Leaf::Time(part, bound) => bound.holds(part.of(event.draft.time_ms)),
        }
    }

    pub(super) fn reads(&self) -> FieldSet {
        match self {
            Leaf::Flag(flag, _) => sources(*flag),
            Leaf::Exists(field, _) | Leaf::Text(field, _) | Leaf::Number(field, _) => FieldSet::of(*field),
            Leaf::Made(source, _) => source.reads(),
            Leaf::Pair(pair) => pair.left.reads().union(pair.right.reads()),
            Leaf::Time(..) => FieldSet::default(),
            Leaf::Line(line) => match line.ask {
                Ask::Text(_) | Ask::Raw(_) | Ask::Either(_) => FieldSet::of(Field::CommandLine),
                // The image says how the tool writes its switches.
                Ask::Operator(..) => FieldSet::of(Field::CommandLine).union(FieldSet::of(Field::Image)),
            },
        }
    }

    /// Fields of which one must be there.
    fn needs(&self) -> Vec<FieldSet> {
        match self {
            Leaf::Flag(_, false) | Leaf::Exists(_, false) | Leaf::Time(..) => Vec::new(),
            Leaf::Flag(flag, true) => vec![sources(*flag)],
            Leaf::Exists(field, true) | Leaf::Text(field, _) | Leaf::Number(field, _) => vec![FieldSet::of(*field)],
            Leaf::Line(_) => vec![FieldSet::of(Field::CommandLine)],
            Leaf::Made(source, _) => vec![source.reads()],
            Leaf::Pair(pair) => vec![pair.left.reads(), pair.right.reads()],
        }
    }

    /// Fields that must all be there.
    fn must_have(&self) -> FieldSet {
        match self {
            Leaf::Flag(..) | Leaf::Made(..) | Leaf::Pair(_) => FieldSet::default(),
            _ => self.needs().into_iter().fold(FieldSet::default(), FieldSet::union),
        }
    }

    fn cost(&self) -> u32 {
        match self {
            Leaf::Flag(..) | Leaf::Exists(..) => 0,
            Leaf::Time(..) => 1,
            Leaf::Made(_, test) => 1 + test.cost(),
            Leaf::Pair(_) => 4,
            Leaf::Text(_, test) => test.cost(),
            Leaf::Number(..) => 2,
            Leaf::Line(line) if !line.hints.is_empty() => 8,
            Leaf::Line(line) => match &line.ask {
                Ask::Raw(test) => test.cost(),
                Ask::Text(test) | Ask::Either(test) => 20 + test.cost(),
                Ask::Operator(..) => 40,
            },
        }
    }
}

impl Pair {
    fn holds(&self, event: EventView<'_>, scratch: &mut Scratch) -> bool {
        let (left, right) = scratch.pair();
        let (Some(left), Some(right)) = (self.left.text(event, left), self.right.text(event, right)) else {
            return false;
        };
        let alike = |part: &[u8]| if self.case { part == right } else { part.eq_ignore_ascii_case(right) };
        let tail = || left.len().checked_sub(right.len()).and_then(|from| left.get(from..));
        match self.place {
            PairPlace::Whole => alike(left),
            PairPlace::Start => left.get(..right.len()).is_some_and(alike),
            PairPlace::End => tail().is_some_and(alike),
            PairPlace::Within => right.is_empty() || left.windows(right.len()).any(alike),
        }
    }
}

impl Bound {
    fn holds(self, n: u64) -> bool {
        match self {
            Bound::Gt(limit) => n > limit,
            Bound::Ge(limit) => n >= limit,
            Bound::Lt(limit) => n < limit,
            Bound::Le(limit) => n <= limit,
            Bound::Eq(limit) => n == limit,
        }
    }
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Bound::Gt(n) => write!(f, "is more than {n}"),
            Bound::Ge(n) => write!(f, "is at least {n}"),
            Bound::Lt(n) => write!(f, "is less than {n}"),
            Bound::Le(n) => write!(f, "is at most {n}"),
            Bound::Eq(n) => write!(f, "is {n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(f: Field) -> Node {
        Node::Leaf(Leaf::Exists(f, true))
    }

    fn needs(node: Node) -> Vec<Vec<Field>> {
        Condition::new(node).needs().iter().map(|s| s.iter().collect()).collect()
    }

    #[test]
    fn needs_of_all_add_up_and_needs_of_any_are_alternatives() {
        use Field::{CommandLine, Image, ParentImage, Url};
        let both = Node::All(vec![field(Image), field(CommandLine)]);
        assert_eq!(needs(both.clone()), [[Image], [CommandLine]]);
        // Image alone would do for the second: the command line is not needed.
        assert_eq!(needs(Node::Any(vec![both.clone(), field(Image)])), [[Image]]);
        let or = Node::Any(vec![both.clone(), Node::All(vec![field(ParentImage), field(Image)])]);
        assert_eq!(needs(or), [vec![Image], vec![ParentImage, CommandLine]]);
        assert!(needs(Node::Any(vec![both, Node::Not(Box::new(field(Url)))])).is_empty());
    }
}
