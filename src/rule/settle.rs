//! Whether a condition could hold for an event of which some fields are known and the others may say anything.

use super::condition::{Leaf, Node};
use super::scratch::Scratch;
use crate::event::{EventView, FieldSet};

/// What may become of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outlook {
    /// It may hold.
    pub holds: bool,
    /// It may fail.
    pub fails: bool,
}

impl Node {
    /// What may become of the node when an event's fields of a set stay as they are, with a scratch that is at this event.
    pub(super) fn outlook(&self, event: EventView<'_>, fixed: FieldSet, scratch: &mut Scratch) -> Outlook {
        match self {
            Node::All(nodes) => {
                let mut all = Outlook { holds: true, fails: false };
                for node in nodes {
                    let one = node.outlook(event, fixed, scratch);
                    all = Outlook { holds: all.holds & one.holds, fails: all.fails | one.fails };
                }
                all
            }
            Node::Any(nodes) => {
                let mut any = Outlook { holds: false, fails: true };
                for node in nodes {
                    let one = node.outlook(event, fixed, scratch);
                    any = Outlook { holds: any.holds | one.holds, fails: any.fails & one.fails };
                }
                any
            }
            Node::Not(node) => {
                let Outlook { holds, fails } = node.outlook(event, fixed, scratch);
                Outlook { holds: fails, fails: holds }
            }
            Node::Leaf(leaf) if leaf.is_decided_by(fixed) => {
                let holds = leaf.holds(event, scratch);
                Outlook { holds, fails: !holds }
            }
            Node::Leaf(_) => Outlook { holds: true, fails: true },
        }
    }

    /// Whether it depends on nothing but these fields whether the node holds.
    pub(super) fn is_decided_by(&self, fixed: FieldSet) -> bool {
        match self {
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().all(|node| node.is_decided_by(fixed)),
            Node::Not(node) => node.is_decided_by(fixed),
            Node::Leaf(leaf) => leaf.is_decided_by(fixed),
        }
    }
}

impl Leaf {
    fn is_decided_by(&self, fixed: FieldSet) -> bool {
        !matches!(self, Leaf::Time(..)) && self.reads().0 & !fixed.0 == 0
    }
}
