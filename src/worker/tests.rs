//! Batches against a plain reading, line by line.

use super::*;
use crate::batch::Remember;
use crate::config::DetectionSettings;
use crate::content;
use crate::enrich::Enricher;
use proptest::prelude::*;

const EVENT: &str = "CEF:0|Dtex|DTEX InTERCEPT|6.0|FileRead|C:\\a (1 bytes)|3|start=1772442000000 User_Name=a";

fn shipped() -> (Worker, Arc<content::Content>) {
    let mut content = content::load(&DetectionSettings::default()).unwrap();
    let screen = Arc::new(Screen::new(&content.rules, &content.models));
    let wanted = content::wanted(&screen, &Enricher::new(&content.tables));
    content.parsers.set_wanted(wanted);
    let content = Arc::new(content);
    let extractor = Extractor::new(Arc::clone(&content), wanted, Vec::new());
    let hasher = KeyHasher::default();
    (Worker::new(extractor, screen, Zone::utc(), hasher, 1000, Visit::of(&content.rules)), content)
}

proptest! {
    #![proptest_config(crate::effort::cases())]

    #[test]
    fn every_line_of_a_batch_is_counted_where_it_stands(
        lines in prop::collection::vec(prop_oneof![4 => Just(""), 1 => Just("\r"), 1 => Just(" \t"), 1 => Just("x"), 2 => Just(EVENT)], 0..40),
        is_csv: bool,
        line_before in 0u64..9,
        ended: bool,
    ) {
        thread_local!(static SHIPPED: std::cell::RefCell<(Worker, Arc<content::Content>)> = shipped().into());
        let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let text = if ended { text.as_str() } else { text.strip_suffix('\n').unwrap_or_default() };
        let batch = RawBatch {
            format: Some(if is_csv { Format::Csv } else { Format::Cef }),
            data: text.as_bytes().to_vec(),
            offset: 100,
            line: line_before + 1,
            ..RawBatch::empty(0, "test".into(), Remember::Forget)
        };
        let out = SHIPPED.with_borrow_mut(|(worker, content)| worker.screen(batch, &content.parsers, EventBatch::default()));

        let (mut events, mut rejected, mut blank, mut offset) = (Vec::new(), Vec::new(), 0, 100);
        for (line, text) in (line_before + 1..).zip(text.split_inclusive('\n')) {
            match text.trim_ascii() {
                "" => blank += 1,
                EVENT if !is_csv => events.push((line, offset)),
                _ => rejected.push(line),
            }
            offset += text.len() as u64;
        }
        prop_assert_eq!(out.events.iter().map(|e| (e.line, e.offset)).collect::<Vec<_>>(), events);
        prop_assert_eq!(out.rejected.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), rejected);
        prop_assert_eq!((out.tally.blank, out.tally.bytes), (blank, text.len() as u64));
        prop_assert!(out.tally.adds_up());
    }
}
