//! Parts of a rule of which some are known to hold always or never: put together without them.

use crate::rule::condition::Node;

/// What a part of a rule is.
pub enum Folded {
    /// It never holds.
    Never,
    /// It always holds.
    Always,
    /// It is to be asked.
    Node(Node),
}

/// One of some conditions.
pub fn any_of(nodes: Vec<Node>) -> Folded {
    any(nodes.into_iter().map(Folded::Node).collect())
}

/// One of them.
pub fn any(members: Vec<Folded>) -> Folded {
    let mut nodes = Vec::new();
    for member in members {
        match member {
            Folded::Always => return Folded::Always,
            Folded::Never => {}
            // Alternatives of alternatives are alternatives: each finds its events by itself.
            Folded::Node(Node::Any(inner)) => nodes.extend(inner),
            Folded::Node(node) => nodes.push(node),
        }
    }
    match nodes.len() {
        0 => Folded::Never,
        1 => nodes.pop().map_or(Folded::Never, Folded::Node),
        _ => Folded::Node(Node::Any(nodes)),
    }
}

/// All of them.
pub fn all(members: Vec<Folded>) -> Folded {
    let mut nodes = Vec::new();
    for member in members {
        match member {
            Folded::Never => return Folded::Never,
            Folded::Always => {}
            Folded::Node(Node::All(inner)) => nodes.extend(inner),
            Folded::Node(node) => nodes.push(node),
        }
    }
    match nodes.len() {
        0 => Folded::Always,
        1 => nodes.pop().map_or(Folded::Always, Folded::Node),
        _ => Folded::Node(Node::All(nodes)),
    }
}

/// The opposite.
pub fn not(folded: Folded) -> Folded {
    match folded {
        Folded::Never => Folded::Always,
        Folded::Always => Folded::Never,
        Folded::Node(Node::Not(inner)) => Folded::Node(*inner),
        Folded::Node(node) => Folded::Node(Node::Not(Box::new(node))),
    }
}
