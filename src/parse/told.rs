//! The parsers as somebody is told about them who asks what becomes of a record: what each takes, and why it does not take
//! this one. Never used while spools are read.

use super::scratch::{Form, Scratch};
use super::table::{Activities, ParserTable};
use super::{Columns, cef, csv};
use crate::batch::Format;
use crate::event::{Reject, Span, Text};

/// A parser, and why it does not take a record; `None` for the one that does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told<'t> {
    /// The parser.
    pub parser: &'t str,
    /// The activities that it takes.
    pub takes: Vec<String>,
    /// Why it does not take the record.
    pub why_not: Option<WhyNot>,
}

/// What keeps a parser from taking a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    /// It reads the other format.
    Format(Format),
    /// The record is of another vendor, this one.
    Vendor(String),
    /// The record has another activity, or none that can be read.
    Activity,
    /// The activity is its own; something else is wrong.
    Refused(Reject),
}

impl ParserTable {
    /// Every parser, in order, and what keeps it from taking a record of this format, of which parsing said `parsed`.
    pub fn told(
        &self,
        record: &[u8],
        format: Format,
        columns: Option<&Columns>,
        parsed: Result<u16, Reject>,
    ) -> Vec<Told<'_>> {
        let activity = self.activity(record, format, columns);
        let vendor = self.strange_vendor(record).filter(|_| format == Format::Cef);
        let mut all = Vec::new();
        for (index, parser) in self.parsers.iter().enumerate() {
            let takes = self.takes(index);
            let why_not = match (parser.format, parsed) {
                (_, Ok(taken)) if usize::from(taken) == index => None,
                (Some(other), _) if other != format => Some(WhyNot::Format(other)),
                (_, Err(_)) if vendor.is_some() => vendor.clone().map(WhyNot::Vendor),
                (_, Err(why)) if activity.as_ref().is_some_and(|a| takes.contains(a)) => Some(WhyNot::Refused(why)),
                _ => Some(WhyNot::Activity),
            };
            all.push(Told { parser: &parser.id, takes, why_not });
        }
        all
    }

    /// The activity that a record names: the known one, else the word that looks like one.
    pub fn activity(&self, record: &[u8], format: Format, columns: Option<&Columns>) -> Option<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes.trim_ascii()).into_owned();
        let mut scratch = Scratch::default();
        if format == Format::Cef {
            let start = cef::find_start(record)?;
            let header = cef::read_header(record, start, &mut scratch).ok()?;
            let [first, second] = [header.first, header.second].map(|(from, to)| record.get(from..to).map(text));
            let (first, second) = (first?, second?);
            let known = |word: &String| self.cef_activities.contains_key(word.as_bytes());
            let is_word = |word: &String| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric());
            // Form B names a category before the activity.
            return Some(if !known(&first) && is_word(&second) { second } else { first });
        }
        let layout = self.csv.as_ref()?;
        csv::split_cells(record, &mut scratch.cells);
        scratch.begin(self.keys.len(), Form::Plain);
        columns.unwrap_or(&layout.positions).fill(Span::raw(0, record.len()), &mut scratch);
        let span = layout.activity.iter().find_map(|key| scratch.raw(*key))?;
        Some(text(Text { raw: record, arena: &[] }.get(span)))
    }

    /// The vendor of a CEF line, where it is none of those that are read.
    fn strange_vendor(&self, line: &[u8]) -> Option<String> {
        let header = cef::read_header(line, cef::find_start(line)?, &mut Scratch::default()).ok()?;
        let vendor = line.get(header.vendor.0..header.vendor.1)?.trim_ascii();
        let known = &self.cef.as_ref()?.vendors;
        (!known.iter().any(|v| v.as_bytes() == vendor)).then(|| String::from_utf8_lossy(vendor).into_owned())
    }

    /// The activities of a parser, in order.
    fn takes(&self, parser: usize) -> Vec<String> {
        let of = |activities: &Activities| -> Vec<String> {
            let own = |claim: &u16| {
                self.claims.get(usize::from(*claim)).is_some_and(|claim| usize::from(claim.parser) == parser)
            };
            activities.iter().filter(|(_, claim)| own(claim)).map(|(a, _)| String::from_utf8_lossy(a).into()).collect()
        };
        let mut all = of(&self.cef_activities);
        all.extend(of(&self.csv_activities));
        all.sort_unstable();
        all.dedup();
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DetectionSettings;

    #[test]
    fn each_parser_says_why_it_does_not_take_a_record() {
        let content = crate::content::load(&DetectionSettings::default()).unwrap();
        let table = &content.parsers;
        let names = table.ids();
        let told = |line: &str, format, parsed| -> Vec<Option<WhyNot>> {
            let told = table.told(line.as_bytes(), format, None, parsed);
            assert!(told.iter().map(|t| t.parser).eq(names.iter().copied()));
            assert!(told.iter().all(|t| !t.takes.is_empty()));
            told.into_iter().map(|t| t.why_not).collect()
        };
        let count = |all: &[Option<WhyNot>], wanted: &Option<WhyNot>| all.iter().filter(|w| *w == wanted).count();
        let taken = names.iter().position(|n| *n == "cef-dtex-file-created").unwrap() as u16;
        let line = "CEF:0|Dtex|x|6.0|FileSystemActivity|FileCreated|3|start=1612345678901";
        let all = told(line, Format::Cef, Ok(taken));
        assert_eq!(count(&all, &None), 1);
        assert_eq!(count(&all, &Some(WhyNot::Format(Format::Csv))), 1);
        assert_eq!(count(&all, &Some(WhyNot::Activity)), names.len() - 2);

        let all = told("CEF:0|Dtex|x|6.0|FileCreated|C:\\a|3|", Format::Cef, Err(Reject::BadTime));
        assert_eq!(all[usize::from(taken)], Some(WhyNot::Refused(Reject::BadTime)));
        let all = told("CEF:0|Other|x|6.0|FileCreated|C:\\a|3|", Format::Cef, Err(Reject::NoParser));
        assert_eq!(count(&all, &Some(WhyNot::Vendor("Other".into()))), names.len() - 1);
        let all = told("hello", Format::Csv, Err(Reject::NoParser));
        assert_eq!(count(&all, &Some(WhyNot::Format(Format::Cef))), names.len() - 1);

        for (line, activity) in [
            (line, Some("FileCreated")),
            ("CEF:0|Dtex|x|6.0|ProcessKilled|Killed C:\\t\\x.exe|3|", Some("ProcessKilled")),
            ("CEF:0|Dtex|x|6.0|NetworkActivity|SocketOpened|3|", Some("SocketOpened")),
            ("CEF:0|Dtex", None),
            ("", None),
        ] {
            assert_eq!(table.activity(line.as_bytes(), Format::Cef, None).as_deref(), activity, "{line}");
        }
    }
}
