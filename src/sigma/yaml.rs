//! YAML with places: a small tree whose every node knows its line. The only module that names the YAML crate.
//!
//! Only what rules are written with: anchors, aliases, tags and a second document are refused, so that a file cannot be more
//! than it looks. Depth and number of nodes are bounded, and nothing recurses while parsing.

use saphyr_parser::{Event, Parser, ScalarStyle};

/// Deepest nesting.
pub const MAX_DEPTH: usize = 24;
/// Most nodes of a file: the largest public rule has some 700.
pub const MAX_NODES: usize = 20_000;

/// A node and the line where it begins, from 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The line.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number, as written.
    Number(String),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// Keys, with their lines, and values, in the order of the file.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its line.
    pub line: usize,
    /// The value.
    pub node: Node,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, 0 for the file.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl Wrong {
    /// At a line.
    pub fn at(line: usize, message: impl Into<String>) -> Wrong {
        Wrong { line, message: message.into() }
    }
}

impl Node {
    /// The entries of a map.
    pub fn map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The text of a scalar that says something.
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Boolean(value) => Some(value.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The members of a list; anything else is a list of itself.
    pub fn members(&self) -> &[Node] {
        match &self.value {
            Value::List(nodes) => nodes,
            _ => std::slice::from_ref(self),
        }
    }

    /// What kind of thing it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "empty",
            Value::Boolean(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// An open list or map.
enum Open {
    List(usize, Vec<Node>),
    Map(usize, Vec<Entry>, Option<(String, usize)>),
}

/// Parses a file of one document.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(text: &str) -> Result<Node, Wrong> {
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let (mut open, mut nodes, mut root): (Vec<Open>, usize, Option<Node>) = (Vec::new(), 0, None);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|e| Wrong::at(e.marker().line(), format!("not valid YAML: {}", e.info())))?;
        let line = span.start.line();
        let done = match event {
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => None,
            Event::StreamEnd => break,
            Event::DocumentStart(_) if root.is_some() => {
                return Err(Wrong::at(line, "a second document begins; write one rule a file"));
            }
            Event::DocumentStart(_) => None,
            Event::Alias(_) => return Err(marked(line)),
            Event::Scalar(text, style, anchor, tag) => {
                plainly(anchor, tag.is_some(), line)?;
                let value = match style {
                    ScalarStyle::Plain => plain(&text),
                    _ => Value::Text(text.into_owned()),
                };
                Some(Node { line, value })
            }
            Event::SequenceStart(anchor, tag) => {
                plainly(anchor, tag.is_some(), line)?;
                open.push(Open::List(line, Vec::new()));
                None
            }
            Event::MappingStart(anchor, tag) => {
                plainly(anchor, tag.is_some(), line)?;
                open.push(Open::Map(line, Vec::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(close),
        };
        nodes += 1;
        if nodes > MAX_NODES {
            return Err(Wrong::at(line, format!("more than {MAX_NODES} nodes; write a smaller rule")));
        }
        if open.len() > MAX_DEPTH {
            return Err(Wrong::at(line, format!("nested more than {MAX_DEPTH} deep")));
        }
        if let Some(node) = done {
            put(node, &mut open, &mut root)?;
        }
    }
    root.ok_or_else(|| Wrong::at(0, "the file is empty"))
}

fn marked(line: usize) -> Wrong {
    Wrong::at(line, "anchors, aliases and tags are not read; write the value out")
}

fn plainly(anchor: usize, tagged: bool, line: usize) -> Result<(), Wrong> {
    if anchor > 0 || tagged { Err(marked(line)) } else { Ok(()) }
}

fn close(open: Open) -> Node {
    match open {
        Open::List(line, nodes) => Node { line, value: Value::List(nodes) },
        Open::Map(line, entries, _) => Node { line, value: Value::Map(entries) },
    }
}

fn put(node: Node, open: &mut [Open], root: &mut Option<Node>) -> Result<(), Wrong> {
    match open.last_mut() {
        None => *root = Some(node),
        Some(Open::List(_, nodes)) => nodes.push(node),
        Some(Open::Map(_, entries, key)) => match key.take() {
            Some((key, line)) => entries.push(Entry { key, line, node }),
            None => {
                let line = node.line;
                let text = match node.value {
                    Value::Null => Some(String::new()),
                    _ => node.scalar(),
                };
                let text = text.ok_or_else(|| Wrong::at(line, "a list or map stands as a key"))?;
                if entries.iter().any(|e| e.key == text) {
                    return Err(Wrong::at(line, format!("{text:?} stands here twice; only one would count")));
                }
                *key = Some((text, line));
            }
        },
    }
    Ok(())
}

/// What a scalar without quotes is, by the core schema of YAML 1.2.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Boolean(true),
        "false" | "False" | "FALSE" => Value::Boolean(false),
        _ if is_number(text) => Value::Number(text.into()),
        _ => Value::Text(text.into()),
    }
}

/// Decimal: digits with a sign, a fraction, an exponent. Other forms stay texts, which compare as they are written.
fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn scalars_lists_and_maps_keep_their_lines() {
        let root =
            parse("\u{feff}a: 1\nb:\n    - x\n    - 'y'\n    - ~\nc: { d: true, e: '1' }\nf: |\n    l1\n    l2\n")
                .unwrap();
        let map = root.map().unwrap();
        let keys: Vec<_> = map.iter().map(|e| (e.key.as_str(), e.line)).collect();
        assert_eq!(keys, [("a", 1), ("b", 2), ("c", 6), ("f", 7)]);
        assert_eq!(map[0].node.value, Value::Number("1".into()));
        let members: Vec<_> = map[1].node.members().iter().map(|n| (n.line, n.value.clone())).collect();
        assert_eq!(members, [(3, text("x")), (4, text("y")), (5, Value::Null)]);
        let inner = map[2].node.map().unwrap();
        assert_eq!((&inner[0].node.value, &inner[1].node.value), (&Value::Boolean(true), &text("1")));
        assert_eq!(map[3].node.value, text("l1\nl2\n"));
        assert_eq!(parse("x").unwrap().members().len(), 1);
    }

    #[test]
    fn what_makes_a_file_more_than_it_looks_is_refused_with_its_line() {
        let deep = format!("{}x{}", "[".repeat(200), "]".repeat(200));
        let wide = format!("[{}]", "x,".repeat(MAX_NODES + 1));
        for (yaml, line, words) in [
            ("a: &x 1\nb: *x", 1, "anchors"),
            ("a: 1\nb: !!binary x", 2, "tags"),
            ("a: 1\n---\nb: 2", 2, "second document"),
            ("a: 1\nb: 2\na: 3", 3, "twice"),
            ("? [x]\n: y", 1, "as a key"),
            ("a: 'open", 1, "not valid YAML"),
            ("", 0, "empty"),
            (&deep, 1, "deep"),
            (&wide, 1, "nodes"),
        ] {
            let wrong = parse(yaml).unwrap_err();
            assert!(wrong.message.contains(words), "{yaml:.40}: {wrong:?}");
            assert_eq!(wrong.line, line, "{yaml:.40}: {wrong:?}");
        }
    }
}
