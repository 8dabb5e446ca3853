//! Exceptions: for whom, where and until when an alert is not made.
//!
//! Asked only when a rule is about to fire, about the one event that would make the alert. Everything that an exception names
//! must hold; of several patterns of one kind one is enough. Case does not count. Holds no state and reads no clock: `until`
//! goes by the day of the event, so that a replay silences what was silenced.

use crate::calendar::Day;
use crate::enrich::{Glob, lower};
use crate::event::{EventView, Field};
use std::borrow::Cow;

/// What an exception goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// The user's key, or the name without its domain when the pattern has none.
    User,
    /// The host's key.
    Host,
    /// The program: its path when the pattern has a separator, else its file name, with or without `.exe`.
    Process,
    /// The domain of a web event; without `*` and `?` also everything below it.
    Domain,
}

impl Aspect {
    /// All of them.
    pub const ALL: [Aspect; 4] = [Aspect::User, Aspect::Host, Aspect::Process, Aspect::Domain];

    /// Its key in content.
    pub fn name(self) -> &'static str {
        match self {
            Aspect::User => "user",
            Aspect::Host => "host",
            Aspect::Process => "process",
            Aspect::Domain => "domain",
        }
    }
}

/// A pattern for one aspect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// As written.
    pub text: String,
    glob: Glob,
    /// For users: it names the domain, too. For processes: it is a path. For domains: what is below is meant, too.
    wide: bool,
}

/// An exception, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// Its name, under which what it silenced is counted.
    pub id: String,
    /// The rules that it is for; none are all.
    pub rules: Vec<String>,
    /// What must hold, by aspect; an aspect without patterns is not asked about.
    pub patterns: [Vec<Pattern>; 4],
    /// The last day on which it holds, by the events' own time.
    pub until: Option<Day>,
    /// Why it is there.
    pub reason: String,
    /// The file in which it stands.
    pub file: String,
    /// Its line.
    pub line: usize,
}

/// All exceptions, and which of them each rule has.
#[derive(Debug, Default)]
pub struct Exceptions {
    /// In the order of the files.
    pub all: Vec<Exception>,
    /// Indices by rule, in that order.
    by_rule: Vec<Vec<usize>>,
}

impl Pattern {
    /// A pattern of an aspect.
    ///
    /// # Errors
    /// Why the text is none.
    pub fn new(aspect: Aspect, text: &str) -> Result<Pattern, String> {
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(format!("{text:?} names nothing"));
        }
        if text.chars().all(|c| c == '*') {
            return Err(format!("{text:?} is everything; leave the key out"));
        }
        let has_separator = text.contains(['\\', '/']);
        let (folded, wide): (Cow<'_, str>, bool) = match aspect {
            Aspect::User => (text.into(), text.contains('\\')),
            Aspect::Host if has_separator => {
                return Err(format!("{text:?} has a separator; write the host's name alone, without its domain"));
            }
            Aspect::Host => (text.into(), false),
            Aspect::Process => (text.replace('/', "\\").into(), has_separator),
            Aspect::Domain if has_separator || text.contains([':', ' ']) => {
                return Err(format!("{text:?} is no domain; write the name alone: \"files.example.com\""));
            }
            Aspect::Domain => (text.trim_matches('.').into(), !text.contains(['*', '?'])),
        };
        Ok(Pattern { text: text.to_owned(), glob: Glob::new(&folded), wide })
    }

    fn matches(&self, aspect: Aspect, event: EventView<'_>) -> bool {
        let of = |field| event.get(field).map(lower);
        match aspect {
            Aspect::User => of(Field::UserKey).is_some_and(|user| {
                let name = user.rsplit(|b| *b == b'\\').next().unwrap_or_default();
                self.glob.matches(if self.wide { &user } else { name })
            }),
            Aspect::Host => of(Field::HostKey).is_some_and(|host| self.glob.matches(&host)),
            Aspect::Process if self.wide => process_path(event).is_some_and(|path| self.glob.matches(&path)),
            Aspect::Process => {
                let path = process_path(event).unwrap_or_default();
                let name = path.rsplit(|b| *b == b'\\').next().unwrap_or_default();
                (!name.is_empty() && self.glob.matches(name))
                    || of(Field::Image).is_some_and(|image| self.glob.matches(&image))
            }
            Aspect::Domain => of(Field::WebDomain).is_some_and(|domain| {
                let above = |at| self.wide && domain.get(at..).is_some_and(|above| self.glob.matches(above));
                self.glob.matches(&domain) || memchr::memchr_iter(b'.', &domain).any(|dot| above(dot + 1))
            }),
        }
    }
}

/// The path of the program, lower-case, with `\` between its parts.
fn process_path(event: EventView<'_>) -> Option<Vec<u8>> {
    let path = match (event.get(Field::ProcessPath), event.get(Field::ProcessDir), event.get(Field::ProcessName)) {
        (Some(path), _, _) => path.to_vec(),
        (None, Some(dir), Some(name)) => {
            let dir = dir.strip_suffix(b"\\").or(dir.strip_suffix(b"/")).unwrap_or(dir);
            [dir, b"\\", name].concat()
        }
        (None, None, name) => name?.to_vec(),
        (None, Some(_), None) => return None,
    };
    let mut path = lower(&path);
    path.iter_mut().filter(|b| **b == b'/').for_each(|b| *b = b'\\');
    Some(path)
}

impl Exception {
    /// Whether it holds for an event of a day.
    pub fn holds(&self, event: EventView<'_>, day: Day) -> bool {
        self.is_open(day)
            && Aspect::ALL.iter().zip(&self.patterns).all(|(aspect, patterns)| {
                patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(*aspect, event))
            })
    }

    /// Whether it has not ended before a day.
    pub fn is_open(&self, day: Day) -> bool {
        self.until.is_none_or(|until| day <= until)
    }

    /// Whether it is for a rule.
    pub fn is_for(&self, rule: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|r| r == rule)
    }

    /// For whom and where: `user corp\jdoe, process *\convert.exe`; empty when it is for everything.
    pub fn subject(&self) -> String {
        let named = |(aspect, patterns): (&Aspect, &Vec<Pattern>)| {
            let texts: Vec<&str> = patterns.iter().map(|p| p.text.as_str()).collect();
            (!texts.is_empty()).then(|| format!("{} {}", aspect.name(), texts.join(" or ")))
        };
        Aspect::ALL.iter().zip(&self.patterns).filter_map(named).collect::<Vec<_>>().join(", ")
    }
}

impl Exceptions {
    /// Takes exceptions, in order of precedence. `rules` are the ids of all rules, by index.
    pub fn new<'a>(all: Vec<Exception>, rules: impl Iterator<Item = &'a str>) -> Exceptions {
        let of = |rule: &str| (0..).zip(&all).filter(|(_, e)| e.is_for(rule)).map(|(at, _)| at).collect();
        let by_rule = rules.map(of).collect();
        Exceptions { all, by_rule }
    }

    /// Whether a rule has any.
    pub fn has(&self, rule: u16) -> bool {
        self.by_rule.get(usize::from(rule)).is_some_and(|list| !list.is_empty())
    }

    /// The first exception of a rule that holds for an event of a day.
    pub fn find(&self, rule: u16, event: EventView<'_>, day: Day) -> Option<&Exception> {
        let list = self.by_rule.get(usize::from(rule))?;
        list.iter().filter_map(|at| self.all.get(*at)).find(|e| e.holds(event, day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Draft, EventType, Span, Text};

    fn holds(exception: &Exception, fields: &[(Field, &str)], day: Day) -> bool {
        let (mut raw, mut draft) = (Vec::new(), Draft::default());
        draft.kind = EventType::ProcessCreated;
        for (field, value) in fields {
            draft.append(*field, value, &mut raw);
        }
        exception.holds(EventView { draft: &draft, text: Text { raw: &raw, arena: &[] } }, day)
    }

    fn exception(patterns: &[(Aspect, &str)]) -> Exception {
        let of = |aspect: Aspect| {
            let mine = patterns.iter().filter(|(a, _)| *a == aspect);
            mine.map(|(a, text)| Pattern::new(*a, text).unwrap()).collect()
        };
        Exception {
            id: "x".into(),
            rules: Vec::new(),
            patterns: Aspect::ALL.map(of),
            until: None,
            reason: "because".into(),
            file: "x.override.toml".into(),
            line: 1,
        }
    }

    #[test]
    fn one_aspect_at_a_time() {
        use Aspect::{Domain, Host, Process, User};
        let path = Field::ProcessPath;
        for (aspect, pattern, field, value, wanted) in [
            (User, "jdoe", Field::UserKey, "corp\\jdoe", true),
            (User, "JDoe", Field::UserKey, "jdoe", true),
            (User, "doe", Field::UserKey, "corp\\jdoe", false),
            (User, "corp\\*", Field::UserKey, "corp\\jdoe", true),
            (User, "corp\\*", Field::UserKey, "corp2\\jdoe", false),
            (User, "corp\\jdoe", Field::UserKey, "jdoe", false),
            (User, "svc-*", Field::UserKey, "corp\\svc-backup", true),
            (User, "jdoe", Field::HostKey, "jdoe", false),
            (Host, "web0?", Field::HostKey, "web01", true),
            (Host, "web0?", Field::HostKey, "web011", false),
            (Process, "convert", path, "C:\\im\\convert", true),
            (Process, "convert.exe", path, "C:\\im\\CONVERT.EXE", true),
            (Process, "convert.exe", path, "C:\\im\\convert", false),
            (Process, "convert", Field::Image, "convert", true),
            (Process, "conv*", Field::ProcessName, "convert.exe", true),
            (Process, "C:/im/*", path, "c:\\IM\\sub\\convert.exe", true),
            (Process, "\\usr\\bin\\curl", path, "/usr/bin/curl", true),
            (Process, "*\\im\\convert.exe", path, "D:\\tools\\im\\convert.exe", true),
            (Process, "im\\convert.exe", path, "D:\\tools\\im\\convert.exe", false),
            (Domain, "example.com", Field::WebDomain, "example.com", true),
            (Domain, "example.com", Field::WebDomain, "a.b.Example.com", true),
            (Domain, "example.com", Field::WebDomain, "notexample.com", false),
            (Domain, "*.example.com", Field::WebDomain, "example.com", false),
            (Domain, "*.example.com", Field::WebDomain, "a.example.com", true),
            (Domain, "cdn?.example.com", Field::WebDomain, "x.cdn1.example.com", false),
            (Domain, "example.com", Field::HostKey, "example.com", false),
        ] {
            let one = exception(&[(aspect, pattern)]);
            assert_eq!(holds(&one, &[(field, value)], 0), wanted, "{pattern} {value}");
        }
    }

    #[test]
    fn everything_that_is_named_must_hold_until_its_day_has_passed() {
        let mut both =
            exception(&[(Aspect::User, "ann"), (Aspect::User, "bob"), (Aspect::Process, "*\\im\\convert.exe")]);
        let at = |user, path| vec![(Field::UserKey, user), (Field::ProcessPath, path)];
        let path = "c:\\im\\convert.exe";
        assert!(holds(&both, &at("ann", path), 0) && holds(&both, &at("bob", path), 0));
        assert!(!holds(&both, &at("eve", path), 0) && !holds(&both, &at("ann", "c:\\x.exe"), 0));
        assert!(!holds(&both, &[(Field::UserKey, "ann")], 0), "what the event does not say does not hold");
        let split = [(Field::UserKey, "ann"), (Field::ProcessDir, "C:/im/"), (Field::ProcessName, "Convert.exe")];
        assert!(holds(&both, &split, 0));
        both.until = Some(10);
        assert!(holds(&both, &at("ann", path), 10) && !holds(&both, &at("ann", path), 11));
        assert_eq!(both.subject(), "user ann or bob, process *\\im\\convert.exe");
        assert!(holds(&exception(&[]), &[], 0));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (aspect, text) in [
            (Aspect::User, ""),
            (Aspect::User, "*"),
            (Aspect::Host, "corp\\ws1"),
            (Aspect::Domain, "https://example.com/"),
            (Aspect::Domain, "example.com:443"),
            (Aspect::Process, "a\nb"),
        ] {
            assert!(Pattern::new(aspect, text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_first_exception_of_a_rule_that_holds_is_the_one() {
        let named = |id: &str, rules: &[&str], user: &str| Exception {
            id: id.into(),
            rules: rules.iter().map(|r| (*r).to_owned()).collect(),
            ..exception(&[(Aspect::User, user)])
        };
        let all = vec![named("a", &["R2"], "ann"), named("b", &[], "ann"), named("c", &["R1", "R2"], "bob")];
        let exceptions = Exceptions::new(all, ["R1", "R2", "R3"].into_iter());
        let found = |rule, user: &str| {
            let mut draft = Draft::default();
            draft.set(Field::UserKey, Span::raw(0, user.len()));
            let view = EventView { draft: &draft, text: Text { raw: user.as_bytes(), arena: &[] } };
            exceptions.find(rule, view, 0).map(|e| e.id.clone()).unwrap_or_default()
        };
        assert_eq!((found(0, "ann"), found(1, "ann"), found(2, "ann")), ("b".into(), "a".into(), "b".into()));
        assert_eq!((found(0, "bob"), found(2, "bob"), found(9, "ann")), ("c".into(), String::new(), String::new()));
        assert!(exceptions.has(2) && !exceptions.has(3));
    }
}
