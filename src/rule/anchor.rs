//! What an event must show for a condition to have a chance: derived from the condition itself.
//!
//! `any` needs the anchor of one of its members, so it has all of them; `all` needs those of every member, so it takes
//! the best; `not` needs nothing. A condition without an anchor is judged always. Sound, never exact: an anchor may let
//! events through for which the condition does not hold.

use super::condition::{Ask, Leaf, Node};
use super::text::{Literal, TextOp, TextTest};
use crate::event::{Field, Flag};

/// One thing an event may show.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// Its image is this (lower case, without extension).
    Image(Vec<u8>),
    /// Its parent's image is this.
    ParentImage(Vec<u8>),
    /// A field has this within (lower case); the command line is prepared by [`super::literals::prepare`].
    Within(Field, Vec<u8>),
    /// A flag is set.
    Flag(Flag),
}

/// Things of which an event must show at least one. The least is the best.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Anchor {
    /// Roughly how often an event shows one, and how dear it is to ask.
    cost: u32,
    /// The things.
    pub atoms: Vec<Atom>,
}

/// Shortest literal worth searching in every event, bytes.
const SHORTEST: usize = 3;
/// Shortest literal worth searching where something else has been found already, bytes.
pub const HINT: usize = 1;
/// Entries of a table up to which they become images to look up.
const TABLE_ENTRIES: usize = 10_000;

/// The anchor of a node, `None` when it has none.
pub fn of(node: &Node) -> Option<Anchor> {
    combine(node, &of_leaf)
}

/// Literals of which one must be within the prepared command line; `None` when the node asks for none.
pub fn on_line(node: &Node) -> Option<Vec<Vec<u8>>> {
    let anchor = combine(node, &|leaf| match leaf {
        Leaf::Line(line) => {
            line_tests(&line.ask).into_iter().filter_map(|t| within(Field::CommandLine, t, SHORTEST)).min()
        }
        _ => None,
    })?;
    let texts = anchor.atoms.into_iter().map(|atom| match atom {
        Atom::Within(_, text) => Some(text),
        Atom::Image(_) | Atom::ParentImage(_) | Atom::Flag(_) => None,
    });
    texts.collect()
}

fn combine(node: &Node, of_leaf: &impl Fn(&Leaf) -> Option<Anchor>) -> Option<Anchor> {
    match node {
        Node::All(nodes) => nodes.iter().filter_map(|n| combine(n, of_leaf)).min(),
        Node::Any(nodes) => {
            let mut sum = Anchor { cost: 0, atoms: Vec::new() };
            for node in nodes {
                let anchor = combine(node, of_leaf)?;
                sum.atoms.extend(anchor.atoms);
                sum.cost += anchor.cost;
            }
            Some(sum)
        }
        Node::Not(_) => None,
        Node::Leaf(leaf) => of_leaf(leaf),
    }
}

fn of_leaf(leaf: &Leaf) -> Option<Anchor> {
    match leaf {
        Leaf::Flag(flag, true) => Some(Anchor { atoms: vec![Atom::Flag(*flag)], cost: 8 }),
        Leaf::Flag(_, false) | Leaf::Exists(..) | Leaf::Number(..) => None,
        Leaf::Text(field, test) => of_text(*field, test),
        Leaf::Line(line) => {
            line_tests(&line.ask).into_iter().filter_map(|t| within(Field::CommandLine, t, SHORTEST)).min()
        }
    }
}

fn line_tests(ask: &Ask) -> Vec<&TextTest> {
    match ask {
        Ask::Text(test) => vec![test],
        Ask::Operator(operator, _) => operator.texts(),
    }
}

fn of_text(field: Field, test: &TextTest) -> Option<Anchor> {
    let named = test.ops.iter().filter_map(|op| of_name(field, op)).min();
    named.into_iter().chain(within(field, test, SHORTEST)).min()
}

/// Comparisons that fix the image: of the image itself, or of the last component of its path.
fn of_name(field: Field, op: &TextOp) -> Option<Anchor> {
    let (atom, cost): (fn(Vec<u8>) -> Atom, u32) = match field {
        Field::Image | Field::ProcessPath => (Atom::Image, 1),
        Field::ParentImage | Field::ParentProcessPath => (Atom::ParentImage, 2),
        _ => return None,
    };
    let whole_name = matches!(field, Field::Image | Field::ParentImage);
    let names: Vec<Vec<u8>> = match op {
        TextOp::Equals(list) if whole_name => list.iter().map(plain_name).collect::<Option<_>>()?,
        TextOp::InTable(_, entries) if whole_name && entries.len() <= TABLE_ENTRIES => {
            entries.iter().map(|e| e.is_ascii().then(|| e.clone())).collect::<Option<_>>()?
        }
        TextOp::Equals(list) | TextOp::EndsWith(list) if !whole_name => {
            list.iter().map(last_of_path).collect::<Option<Vec<_>>>()?.concat()
        }
        _ => return None,
    };
    let cost = cost * u32::try_from(names.len()).ok()?;
    Some(Anchor { atoms: names.into_iter().map(atom).collect(), cost })
}

fn plain_name(literal: &Literal) -> Option<Vec<u8>> {
    literal.text.is_ascii().then(|| literal.text.to_ascii_lowercase().into_bytes())
}

/// The images that a path which ends with the literal may have; the literal must hold a separator. Which suffixes
/// enrichment takes off is content, so the name stands there with and without its suffix.
fn last_of_path(literal: &Literal) -> Option<Vec<Vec<u8>>> {
    let (_, last) = literal.text.rsplit_once(['\\', '/'])?;
    let whole = last.to_ascii_lowercase();
    let padded = whole.contains(|c: char| c.is_ascii_whitespace() || c == '"');
    let stem = whole.rsplit_once('.').map(|(stem, _)| stem).filter(|s| !s.is_empty());
    let names = || stem.into_iter().chain([whole.as_str()]).map(|n| n.as_bytes().to_vec()).collect();
    (!whole.is_empty() && whole.is_ascii() && !padded).then(names)
}

/// The best list of literals of which one must be within the field, as searched for: each at least `shortest` bytes.
pub fn pieces(field: Field, test: &TextTest, shortest: usize) -> Option<Vec<Vec<u8>>> {
    // What has a caret never is in a command line without carets.
    let possible = |l: &&Literal| field != Field::CommandLine || !l.text.contains('^');
    let lists =
        test.required().filter_map(|list| list.iter().filter(possible).map(|l| piece(field, l, shortest)).collect());
    lists.min_by_key(|list: &Vec<Vec<u8>>| cost_of(list))
}

fn within(field: Field, test: &TextTest, shortest: usize) -> Option<Anchor> {
    let pieces = pieces(field, test, shortest)?;
    Some(Anchor { cost: cost_of(&pieces), atoms: pieces.into_iter().map(|p| Atom::Within(field, p)).collect() })
}

/// Short literals are found by chance: dear.
fn cost_of(pieces: &[Vec<u8>]) -> u32 {
    pieces.iter().map(|p| 4 + 256 / (p.len() * p.len()).max(1) as u32).sum()
}

/// The longest part of a literal that survives preparation: ASCII, and for a command line without blanks and quotes.
fn piece(field: Field, literal: &Literal, shortest: usize) -> Option<Vec<u8>> {
    let breaks = |c: char| {
        !c.is_ascii() || (field == Field::CommandLine && (c.is_ascii_whitespace() || c == '\x0b' || c == '"'))
    };
    let longest = literal.text.split(breaks).max_by_key(|p| p.len())?;
    (literal.is_plain() && longest.len() >= shortest).then(|| longest.to_ascii_lowercase().into_bytes())
}
