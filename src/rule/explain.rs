//! Why a condition held, or why not, in words: for alerts and for `rules test`.

use super::condition::{Ask, Condition, Leaf, Node, PairPlace};
use super::scratch::Scratch;
use super::text::TextOp;
use crate::alert::Matched;
use crate::calendar::format_instant;
use crate::event::{EventView, Field};

/// Longest value shown, characters.
const SHOWN_CHARS: usize = 1024;

impl Condition {
    /// The leaves that held; of alternatives, those that held. Empty when the condition does not hold.
    pub fn explain(&self, event: EventView<'_>, scratch: &mut Scratch) -> Vec<Matched> {
        let mut out = Vec::new();
        if !self.holds(event, scratch) {
            return out;
        }
        collect(self.written(), event, scratch, &mut out);
        if scratch.truncated(event) {
            out.push(Matched {
                field: Field::CommandLine.name().into(),
                value: "truncated".into(),
                test: "was too long and was judged on its head and tail".into(),
            });
        }
        out
    }

    /// The first thing that failed, as a sentence; `None` when the condition holds.
    pub fn why_not(&self, event: EventView<'_>, scratch: &mut Scratch) -> Option<String> {
        scratch.begin();
        failure(self.written(), event, scratch).map(|f| f.reason)
    }
}

fn collect(node: &Node, event: EventView<'_>, scratch: &mut Scratch, out: &mut Vec<Matched>) {
    match node {
        Node::All(nodes) => nodes.iter().for_each(|n| collect(n, event, scratch, out)),
        Node::Any(nodes) => {
            for node in nodes {
                if node.holds(event, scratch) {
                    collect(node, event, scratch, out);
                }
            }
        }
        // What did not hold is evidence only where the event has something to show for it.
        Node::Not(node) => {
            if let Node::Leaf(leaf) = &**node
                && let Some(value) = actual(leaf, event)
            {
                out.push(Matched { field: field_name(leaf, event), value, test: format!("not: {}", words(leaf)) });
            }
        }
        Node::Leaf(leaf) => {
            let value = found(leaf, event, scratch);
            out.push(Matched { field: field_name(leaf, event), value, test: words(leaf) });
        }
    }
}

/// Why a node failed and how many of its parts held before.
struct Failure {
    held: usize,
    reason: String,
}

fn failure(node: &Node, event: EventView<'_>, scratch: &mut Scratch) -> Option<Failure> {
    match node {
        Node::All(nodes) => {
            for (held, node) in nodes.iter().enumerate() {
                if let Some(inner) = failure(node, event, scratch) {
                    return Some(Failure { held: held + inner.held, reason: inner.reason });
                }
            }
            None
        }
        Node::Any(nodes) => {
            // The alternative that came closest tells the most.
            let mut best: Option<Failure> = None;
            for node in nodes {
                let inner = failure(node, event, scratch)?;
                if best.as_ref().is_none_or(|b| inner.held > b.held) {
                    best = Some(inner);
                }
            }
            let mut best = best.unwrap_or(Failure { held: 0, reason: "there is no alternative".into() });
            if nodes.len() > 1 {
                best.reason = format!("none of {} alternatives holds; the closest: {}", nodes.len(), best.reason);
            }
            Some(best)
        }
        Node::Not(node) => {
            if !node.holds(event, scratch) {
                return None;
            }
            let mut held = Vec::new();
            collect(node, event, scratch, &mut held);
            let text: Vec<String> = held.iter().map(|m| format!("{} {}", m.field, m.test)).collect();
            Some(Failure { held: 0, reason: format!("an exception holds: {}", text.join(", ")) })
        }
        Node::Leaf(leaf) => {
            if leaf.holds(event, scratch) {
                return None;
            }
            let reason = match actual(leaf, event) {
                Some(value) => format!("{} is {value:?}; wanted: {}", field_name(leaf, event), words(leaf)),
                None => format!("{} is missing; wanted: {}", field_name(leaf, event), words(leaf)),
            };
            Some(Failure { held: 0, reason })
        }
    }
}

/// The test in words.
fn words(leaf: &Leaf) -> String {
    match leaf {
        Leaf::Flag(_, true) => "is true".into(),
        Leaf::Flag(_, false) => "is false".into(),
        Leaf::Exists(_, true) => "exists".into(),
        Leaf::Exists(_, false) => "does not exist".into(),
        Leaf::Text(_, test) => test.to_string(),
        Leaf::Number(_, bound) => bound.to_string(),
        Leaf::Made(_, test) => test.to_string(),
        Leaf::Pair(pair) => {
            let place = match pair.place {
                PairPlace::Whole => "equals",
                PairPlace::Start => "starts with",
                PairPlace::End => "ends with",
                PairPlace::Within => "contains",
            };
            format!("{place} the {}", pair.right)
        }
        Leaf::Time(part, bound) => format!("{} {bound}", part.name()),
        Leaf::Line(line) => match &line.ask {
            Ask::Text(test) | Ask::Raw(test) | Ask::Either(test) => test.to_string(),
            Ask::Operator(operator, _) => format!("{} {operator}", operator.name()),
        },
    }
}

fn field_name(leaf: &Leaf, event: EventView<'_>) -> String {
    match leaf {
        Leaf::Flag(flag, _) => flag.name().into(),
        Leaf::Exists(field, _) | Leaf::Text(field, _) | Leaf::Number(field, _) => {
            field.display_name(event.draft.kind).into()
        }
        Leaf::Line(_) => Field::CommandLine.name().into(),
        Leaf::Made(source, _) => source.to_string(),
        Leaf::Pair(pair) => pair.left.to_string(),
        Leaf::Time(..) => "time".into(),
    }
}

/// What the event has where the leaf looks.
fn actual(leaf: &Leaf, event: EventView<'_>) -> Option<String> {
    match leaf {
        Leaf::Flag(flag, _) => Some(event.draft.flags.has(*flag).to_string()),
        Leaf::Exists(field, _) | Leaf::Text(field, _) | Leaf::Number(field, _) => event.get(*field).map(shown),
        Leaf::Line(_) => event.get(Field::CommandLine).map(shown),
        Leaf::Made(source, _) => source.text(event, &mut Vec::new()).map(shown),
        Leaf::Pair(pair) => pair.left.text(event, &mut Vec::new()).map(shown),
        Leaf::Time(..) => Some(format_instant(event.draft.time_ms)),
    }
}

/// What made the leaf hold: of a command line, the part that was found.
fn found(leaf: &Leaf, event: EventView<'_>, scratch: &mut Scratch) -> String {
    let Leaf::Line(line) = leaf else { return actual(leaf, event).unwrap_or_default() };
    let text = match &line.ask {
        Ask::Operator(operator, tools) => scratch.line(event, tools).and_then(|line| operator.find(&line)),
        Ask::Text(test) if test.ops.iter().any(|op| matches!(op, TextOp::Contains(_))) => scratch.joined(event),
        Ask::Text(_) => scratch.cmd(event),
        Ask::Raw(_) | Ask::Either(_) => event.get(Field::CommandLine),
    };
    text.map(shown).unwrap_or_default()
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(SHOWN_CHARS).collect()
}
