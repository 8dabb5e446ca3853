//! A Sigma rule as its file says it, checked: title, id, level, logsource, detections, condition. Compiles nothing.

use super::condition::{self, Expression};
use super::yaml::{Entry, Node, Wrong};
use crate::config::{SIGMA_LEVELS as LEVELS, SIGMA_STATUSES as STATUSES};
use crate::content::fault::suggest;

/// Longest text that is kept, characters: what goes into alerts and pages.
const MAX_TEXT: usize = 4096;
/// Most texts of a list that are kept.
const MAX_TEXTS: usize = 64;

/// A rule.
#[derive(Debug)]
pub struct Document {
    /// Its id; none where it does not say one.
    pub id: Option<String>,
    /// Its title.
    pub title: String,
    /// Its state.
    pub status: Option<String>,
    /// Its level; `medium` where it does not say one.
    pub level: String,
    /// What it is about.
    pub description: String,
    /// Who wrote it.
    pub author: Option<String>,
    /// Its licence.
    pub license: Option<String>,
    /// When it was changed or written, `yyyymmdd`.
    pub date: Option<u32>,
    /// Links.
    pub references: Vec<String>,
    /// Known false positives.
    pub false_positives: Vec<String>,
    /// ATT&CK techniques among its tags.
    pub attack: Vec<String>,
    /// Category, product and service, empty where it does not say one.
    pub logsource: [String; 3],
    /// Detections by name.
    pub detections: Vec<Entry>,
    /// The condition; of several, one must hold.
    pub condition: Expression,
    /// Line of the condition.
    pub condition_line: usize,
}

/// Reads a rule.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(root: &Node) -> Result<Document, Vec<Wrong>> {
    let Some(top) = root.map() else {
        return Err(vec![Wrong::at(root.line, format!("is {}; a rule is a map that begins with title:", root.kind()))]);
    };
    let mut reader = Reader { top, wrong: Vec::new() };
    for (key, what) in [("correlation", "correlations are"), ("action", "collections of rules (action:) are")] {
        if let Some(entry) = reader.entry(key) {
            return Err(vec![Wrong::at(entry.line, format!("{what} not supported"))]);
        }
    }
    let title = reader.text("title");
    if title.is_none() {
        reader.refuse(root.line, "title is missing");
    }
    let level = reader.one_of("level", &LEVELS);
    let status = reader.one_of("status", &STATUSES);
    let date = ["modified", "date"].iter().find_map(|key| reader.text(key).as_deref().and_then(day));
    let tags = reader.texts("tags");
    let logsource = reader.logsource();
    let (detections, condition, condition_line) = reader.detection();
    let document = Document {
        id: reader.text("id").map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()),
        title: title.unwrap_or_default(),
        status,
        level: level.unwrap_or_else(|| "medium".into()),
        description: reader.text("description").unwrap_or_default(),
        author: reader.texts("author").into_iter().reduce(|all, one| format!("{all}, {one}")),
        license: reader.text("license"),
        date,
        references: reader.texts("references"),
        false_positives: reader.texts("falsepositives"),
        attack: tags.iter().filter_map(|tag| technique(tag)).collect(),
        logsource,
        detections,
        condition: condition.unwrap_or(Expression::Or(Vec::new())),
        condition_line,
    };
    if reader.wrong.is_empty() { Ok(document) } else { Err(reader.wrong) }
}

/// `T1048.003` for the tag `attack.t1048.003`.
fn technique(tag: &str) -> Option<String> {
    let id = tag.to_ascii_uppercase();
    let id = id.strip_prefix("ATTACK.")?;
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
    let (main, sub) = id.strip_prefix('T')?.split_once('.').map_or((id.get(1..)?, None), |(m, s)| (m, Some(s)));
    (digits(main, 4) && sub.is_none_or(|s| digits(s, 3))).then(|| id.to_owned())
}

/// `20260605` for `2026-06-05` or `2026/06/05`.
fn day(text: &str) -> Option<u32> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (digits.len() == 8).then(|| digits.parse().ok()).flatten()
}

/// A text on one line, not too long.
fn tidied(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(MAX_TEXT).collect()
}

struct Reader<'n> {
    top: &'n [Entry],
    wrong: Vec<Wrong>,
}

impl<'n> Reader<'n> {
    fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.top.iter().find(|e| e.key == key)
    }

    fn refuse(&mut self, line: usize, message: impl Into<String>) {
        self.wrong.push(Wrong::at(line, message));
    }

    /// A text; a missing or empty one is none.
    fn text(&mut self, key: &str) -> Option<String> {
        let entry = self.entry(key)?;
        if entry.node.map().is_some() || !entry.node.members().iter().all(|n| n.map().is_none()) {
            self.refuse(entry.line, format!("{key} is {}; write a text", entry.node.kind()));
        }
        entry.node.scalar().map(|text| tidied(&text)).filter(|text| !text.is_empty())
    }

    /// A list of texts; a single one counts as a list of one.
    fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(entry) = self.entry(key) else { return Vec::new() };
        let texts = entry.node.members().iter().filter_map(Node::scalar).map(|text| tidied(&text));
        texts.filter(|text| !text.is_empty()).take(MAX_TEXTS).collect()
    }

    fn one_of(&mut self, key: &str, known: &[&str]) -> Option<String> {
        let text = self.text(key)?.to_lowercase();
        if known.contains(&text.as_str()) {
            return Some(text);
        }
        let line = self.entry(key).map_or(0, |e| e.line);
        self.refuse(line, format!("{key} {text:?} is unknown{}", suggest(&text, known.iter().copied())));
        None
    }

    fn logsource(&mut self) -> [String; 3] {
        let Some(entry) = self.entry("logsource") else {
            self.refuse(0, "logsource is missing");
            return Default::default();
        };
        let map = entry.node.map().unwrap_or_default();
        let names = ["category", "product", "service"].map(|key| {
            let found = map.iter().find(|e| e.key == key);
            found.and_then(|e| e.node.scalar()).unwrap_or_default().trim().to_lowercase()
        });
        if names.iter().all(String::is_empty) {
            self.refuse(entry.line, "logsource names no category, product or service");
        }
        names
    }

    fn detection(&mut self) -> (Vec<Entry>, Option<Expression>, usize) {
        let Some(entry) = self.entry("detection") else {
            self.refuse(0, "detection is missing");
            return Default::default();
        };
        let Some(map) = entry.node.map() else {
            self.refuse(entry.line, format!("detection is {}; write a map of detections", entry.node.kind()));
            return Default::default();
        };
        if let Some(timeframe) = map.iter().find(|e| e.key == "timeframe") {
            self.refuse(timeframe.line, "timeframe belongs to aggregations, which are not supported");
        }
        let detections: Vec<Entry> =
            map.iter().filter(|e| !matches!(e.key.as_str(), "condition" | "timeframe")).cloned().collect();
        let Some(condition) = map.iter().find(|e| e.key == "condition") else {
            self.refuse(entry.line, "condition is missing");
            return (detections, None, entry.line);
        };
        let mut any = Vec::new();
        for node in condition.node.members() {
            match node.scalar().ok_or_else(|| Wrong::at(node.line, "condition is no text")) {
                Ok(text) => match condition::parse(&text, node.line) {
                    Ok(expression) => any.push(expression),
                    Err(wrong) => self.wrong.push(wrong),
                },
                Err(wrong) => self.wrong.push(wrong),
            }
        }
        if condition.node.members().is_empty() {
            self.refuse(condition.line, "condition is an empty list");
        }
        let expression = if any.len() == 1 { any.pop() } else { Some(Expression::Or(any)) };
        (detections, expression, condition.line)
    }
}

#[cfg(test)]
mod tests {
    use super::super::yaml;
    use super::*;

    #[test]
    fn a_rule_is_read_with_what_its_alerts_need() {
        let text = "title: A  title\nid: x-1\nstatus: test\ndescription: |\n  two\n  lines\nauthor: [a, b]\n\
                    modified: 2026-06-05\ndate: 2020/01/02\ntags: [attack.t1048.003, attack.exfiltration, ATTACK.T1105, cve.2020.1]\n\
                    falsepositives: none\nlogsource: { category: Process_Creation, product: windows }\n\
                    detection:\n  sel: { Image: x }\n  condition: [sel, 1 of s*]\nlevel: HIGH\n";
        let rule = read(&yaml::parse(text).unwrap()).unwrap();
        assert_eq!((rule.title.as_str(), rule.id.as_deref(), rule.level.as_str()), ("A title", Some("x-1"), "high"));
        assert_eq!((rule.description.as_str(), rule.author.as_deref()), ("two lines", Some("a, b")));
        assert_eq!((rule.date, rule.attack), (Some(20_260_605), vec!["T1048.003".into(), "T1105".to_owned()]));
        assert_eq!(rule.logsource, ["process_creation", "windows", ""]);
        assert!(matches!(rule.condition, Expression::Or(members) if members.len() == 2));
        assert_eq!(rule.false_positives, ["none"]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_its_line() {
        let text = "id: [x]\nlevel: hihg\nlogsource:\n  definition: x\ndetection:\n  timeframe: 5m\n  sel: 1\n  condition: sel |\n";
        let wrong = read(&yaml::parse(text).unwrap()).unwrap_err();
        let all: Vec<String> = wrong.iter().map(|w| format!("{}: {}", w.line, w.message)).collect();
        let all = all.join("\n");
        for words in [
            "1: title is missing",
            "2: level \"hihg\" is unknown; one of: informational",
            "3: logsource names no category",
            "6: timeframe belongs to aggregations",
            "8: condition \"sel |\": aggregations",
        ] {
            assert!(all.contains(words), "{words}\n{all}");
        }
        for (text, words) in [
            ("- x", "is a list"),
            ("title: x\ncorrelation: 1", "correlations are not"),
            ("action: global", "collections"),
        ] {
            let wrong = read(&yaml::parse(text).unwrap()).unwrap_err();
            assert!(wrong[0].message.contains(words), "{wrong:?}");
        }
    }
}
