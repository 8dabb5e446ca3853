//! What an event must show for a condition to have a chance: derived from the condition itself.
//!
//! `any` needs the anchor of one of its members, so it has all of them; `all` needs those of every member, so it takes
//! the best; `not` needs nothing. A condition without an anchor is judged always. Sound, never exact: an anchor may let
//! events through for which the condition does not hold.

use super::condition::{Ask, Leaf, Node};
use super::source::{Part, Source};
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
        Leaf::Line(line) => of_line(&line.ask),
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
        Leaf::Flag(_, false) | Leaf::Exists(..) | Leaf::Number(..) | Leaf::Pair(_) | Leaf::Time(..) => None,
        Leaf::Text(field, test) => of_text(*field, test),
        Leaf::Line(line) => of_line(&line.ask),
        Leaf::Made(source, test) => of_made(source, test),
    }
}

fn of_line(ask: &Ask) -> Option<Anchor> {
    let form = Form::of(ask);
    ask.texts().into_iter().filter_map(|t| within(&[Field::CommandLine], form, t)).min()
}

fn of_text(field: Field, test: &TextTest) -> Option<Anchor> {
    let form = if field == Field::CommandLine { Form::Line } else { Form::Plain };
    let named = test.ops.iter().filter_map(|op| of_name(field, op)).min();
    named.into_iter().chain(within(&[field], form, test)).min()
}

/// Any of the alternatives may give the text. What each puts around its fields is no part of them.
fn of_made(source: &Source, test: &TextTest) -> Option<Anchor> {
    let mut sum = Anchor { cost: 0, atoms: Vec::new() };
    for alternative in &source.alternatives {
        // A path of which only the name is known ends with it all the same.
        let path = match alternative.fields.as_slice() {
            [Field::ProcessPath | Field::ProcessName] => Some(Field::ProcessPath),
            [Field::ParentProcessPath | Field::ParentProcessName] => Some(Field::ParentProcessPath),
            _ => None,
        };
        let path = path.filter(|_| alternative.part == Part::Whole);
        let named = path.and_then(|field| test.ops.iter().filter_map(|op| of_name(field, op)).min());
        let form = Form::Made(&alternative.before, &alternative.between);
        let anchor = named.into_iter().chain(within(&alternative.fields, form, test)).min()?;
        sum.cost += anchor.cost;
        for atom in anchor.atoms {
            if !sum.atoms.contains(&atom) {
                sum.atoms.push(atom);
            }
        }
    }
    Some(sum)
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

/// What a text goes through before literals are searched in it, or a test looks at it.
#[derive(Clone, Copy)]
pub enum Form<'s> {
    /// Nothing.
    Plain,
    /// The command line, normalised for the test: no carets, single blanks, some quotes gone.
    Line,
    /// The command line as it was written, for the test.
    RawLine,
    /// Fields with these texts before and between them.
    Made(&'s str, &'s str),
}

impl Form<'_> {
    /// The form in which a test of the command line sees it.
    pub fn of(ask: &Ask) -> Form<'static> {
        match ask {
            Ask::Text(_) | Ask::Operator(..) => Form::Line,
            Ask::Raw(_) | Ask::Either(_) => Form::RawLine,
        }
    }

    /// Whether a character of a literal is not looked for.
    fn breaks(self, c: char) -> bool {
        !c.is_ascii()
            || match self {
                Form::Plain => false,
                Form::Line | Form::RawLine => c.is_ascii_whitespace() || matches!(c, '\x0b' | '"' | '^'),
                Form::Made(before, between) => before.contains(c) || between.contains(c),
            }
    }
}

/// The best list of literals of which one must be within the text, as searched for: each at least `shortest` bytes.
pub fn pieces(form: Form<'_>, test: &TextTest, shortest: usize) -> Option<Vec<Vec<u8>>> {
    // What has a caret never is in a command line without carets.
    let possible = |l: &&Literal| !matches!(form, Form::Line) || !l.text.contains('^');
    let lists =
        test.required().filter_map(|list| list.iter().filter(possible).map(|l| piece(form, l, shortest)).collect());
    lists.min_by_key(|list: &Vec<Vec<u8>>| cost_of(list))
}

fn within(fields: &[Field], form: Form<'_>, test: &TextTest) -> Option<Anchor> {
    let pieces = pieces(form, test, SHORTEST)?;
    let atoms = |field: &Field| pieces.iter().map(|p| Atom::Within(*field, p.clone())).collect::<Vec<_>>();
    Some(Anchor { cost: cost_of(&pieces), atoms: fields.iter().flat_map(atoms).collect() })
}

/// Short literals are found by chance: dear.
fn cost_of(pieces: &[Vec<u8>]) -> u32 {
    pieces.iter().map(|p| 4 + 256 / (p.len() * p.len()).max(1) as u32).sum()
}

/// The longest part of a literal that survives preparation: ASCII, and for a command line without blanks and quotes.
fn piece(form: Form<'_>, literal: &Literal, shortest: usize) -> Option<Vec<u8>> {
    let longest = literal.text.split(|c| form.breaks(c)).max_by_key(|p| p.len())?;
    (literal.is_plain() && longest.len() >= shortest).then(|| longest.to_ascii_lowercase().into_bytes())
}
