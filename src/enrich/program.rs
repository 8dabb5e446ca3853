//! What follows from how a program and its parent are named: images, the process key, whether it ran from a temporary directory.
//!
//! The same few programs run again and again, so what follows from their names is worked out once and remembered. Programs that
//! are named alike share a number, by which others may remember what they know of them.

use super::arena::Arena;
use super::tables::Compiled;
use super::{image, process_key};
use crate::event::{Draft, Field, FieldSet, Flag, Span};
use crate::memo::{self, Look, Memo};

/// Bytes in one half of what is remembered: some 1,000 programs.
const MEMO_BYTES: usize = 256 * 1024;

/// The names.
const NAMES: [Field; 5] =
    [Field::ProcessPath, Field::ProcessName, Field::ProcessDir, Field::ParentProcessPath, Field::ParentProcessName];

/// What follows from them.
const MADE: [Field; 3] = [Field::Image, Field::ParentImage, Field::ProcessKey];

/// Programs that were met before.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    memo: Memo<Followed, u8>,
    /// Text that is about to be remembered.
    text: Vec<u8>,
}

/// What followed from some names; the texts of [`MADE`] stand behind one another.
#[derive(Clone, Copy, Debug)]
struct Followed {
    program: u64,
    is_temp: bool,
    /// Where each text ends.
    ends: [u32; MADE.len()],
}

impl Default for Programs {
    fn default() -> Self {
        Programs { memo: Memo::new(MEMO_BYTES), text: Vec::new() }
    }
}

impl Programs {
    /// Sets what follows, as far as it is wanted.
    #[inline]
    pub fn set(&mut self, compiled: &Compiled, arena: &mut Arena<'_>, draft: &mut Draft, wanted: FieldSet) {
        if draft.present.0 & names().0 == 0 {
            return compiled.follow(arena, draft, wanted);
        }
        let look = self.memo.look(|texts| {
            texts.mark(&(wanted.0 & FieldSet::OF_PROGRAM.0).to_le_bytes());
            NAMES.iter().for_each(|name| texts.add(arena.get(draft.span(*name))));
        });
        match look {
            Look::Known(answer) => {
                let start = arena.mark();
                arena.push(self.memo.more(answer));
                let Followed { program, is_temp, ends } = answer.note;
                let mut from = 0;
                for (field, end) in MADE.iter().zip(ends) {
                    draft.set(*field, Span::arena(start + from as usize, start + end as usize));
                    from = end;
                }
                if is_temp {
                    draft.flags.set(Flag::IsTemp);
                }
                draft.program = program;
            }
            Look::Nothing => compiled.follow(arena, draft, wanted),
            Look::New(question) => {
                compiled.follow(arena, draft, wanted);
                if image::is_from_command_line(arena, draft) {
                    return;
                }
                self.text.clear();
                let ends = MADE.map(|field| {
                    self.text.extend_from_slice(arena.get(draft.span(field)));
                    self.text.len() as u32
                });
                draft.program = memo::number();
                let is_temp = draft.flags.has(Flag::IsTemp);
                self.memo.keep(question, Followed { program: draft.program, is_temp, ends }, &self.text);
            }
        }
    }
}

fn names() -> FieldSet {
    NAMES.iter().fold(FieldSet::default(), |all, name| all.union(FieldSet::of(*name)))
}

impl Compiled {
    /// Works out what follows.
    #[inline(never)]
    fn follow(&self, arena: &mut Arena<'_>, draft: &mut Draft, wanted: FieldSet) {
        if wanted.contains(Field::Image) {
            image::set_image(&self.lists, arena, draft);
        }
        if wanted.contains(Field::ParentImage) {
            image::set_parent_image(&self.lists, arena, draft);
        }
        if wanted.contains(Field::ProcessKey) {
            process_key::set_process_key(&self.lists, arena, draft);
        }
        self.temp.judge(arena, draft);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::Enricher;
    use crate::enrich::tests::shipped;
    use crate::event::{Counts, EventType, Text};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_number_stands_for_the_names_and_what_follows() {
        let all = NAMES.iter().chain(&MADE).fold(FieldSet::default(), |all, field| all.union(FieldSet::of(*field)));
        assert_eq!(all, FieldSet::OF_PROGRAM);
    }

    /// Texts of the names, then the command line.
    fn words() -> impl Strategy<Value = Vec<&'static str>> {
        let path = prop::sample::select(vec![
            "",
            "",
            "\\",
            "C:\\Temp\\A.exe",
            "C:\\Users\\x\\a.exe",
            "C:\\Größe\\setup_1.2.3.exe",
        ]);
        let name = prop::sample::select(vec!["", "", "A.exe", "Setup.EXE", "x.com", " "]);
        let dir =
            prop::sample::select(vec!["", "C:\\Windows\\Temp", "C:\\Users\\Ann\\AppData", "c:/temp", "\\temporal"]);
        (path.clone(), name.clone(), dir, path, name, prop::sample::select(vec!["", "b.exe -x", "\"c d.exe\" y"]))
            .prop_map(|(a, b, c, d, e, f)| vec![a, b, c, d, e, f])
    }

    proptest! {
        #![proptest_config(crate::effort::cases())]

        #[test]
        fn what_is_remembered_is_what_follows(
            programs in prop::collection::vec(words(), 1..8),
            order in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u8, any::<bool>()), 1..60),
            half_bytes in prop::sample::select(vec![300, MEMO_BYTES]),
        ) {
            let mut enricher = Enricher::new(&shipped());
            enricher.programs.memo = Memo::new(half_bytes);
            let mut numbers: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
            for (index, wanted, is_made) in order {
                let words = index.get(&programs);
                let wanted = MADE.iter().enumerate().filter(|(n, _)| wanted >> n & 1 == 1);
                let wanted = wanted.fold(FieldSet::default(), |all, (_, field)| all.union(FieldSet::of(*field)));
                let [known, anew] = [true, false].map(|remembers| {
                    let (mut raw, mut arena, mut draft) =
                        (Vec::new(), b"before".to_vec(), Draft::empty(EventType::ProcessCreated, 0));
                    for (field, word) in NAMES.iter().chain(&[Field::CommandLine]).zip(words) {
                        if is_made {
                            let start = arena.len();
                            arena.extend_from_slice(word.as_bytes());
                            draft.set(*field, Span::arena(start, arena.len()));
                        } else {
                            draft.append(*field, word, &mut raw);
                        }
                    }
                    let mut fresh = Enricher::new(&shipped());
                    let enricher = if remembers { &mut enricher } else { &mut fresh };
                    enricher.enrich(&raw, &mut arena, &mut draft, wanted, &mut Counts::default());
                    let text = Text { raw: &raw, arena: &arena };
                    let texts = |fields: FieldSet| -> Vec<Vec<u8>> {
                        fields.iter().map(|f| text.get(draft.span(f)).to_vec()).collect()
                    };
                    (draft.flags, draft.present, draft.program, texts(FieldSet(u64::MAX)), texts(FieldSet::OF_PROGRAM))
                });
                prop_assert_eq!((known.0, known.1, &known.3), (anew.0, anew.1, &anew.3));
                if known.2 != 0 {
                    let same = numbers.entry(known.2).or_insert_with(|| known.4.clone());
                    prop_assert_eq!(&*same, &known.4, "what has the same number is the same");
                }
            }
        }
    }

    #[test]
    fn programs_have_a_number_from_the_first_time_on_unless_their_image_is_another_text() {
        let mut enricher = Enricher::new(&shipped());
        let mut number = |fields: &[(Field, &str)]| {
            let (mut raw, mut draft) = (Vec::new(), Draft::empty(EventType::ProcessCreated, 0));
            fields.iter().for_each(|(field, text)| draft.append(*field, text, &mut raw));
            enricher.enrich(&raw, &mut Vec::new(), &mut draft, FieldSet(u64::MAX), &mut Counts::default());
            draft.program
        };
        let path = (Field::ProcessPath, "C:\\x\\a.exe");
        let first = number(&[path]);
        assert!(first != 0 && number(&[path]) == first);
        assert_eq!(number(&[path, (Field::CommandLine, "a.exe -x")]), first);
        assert!(![0, first].contains(&number(&[path, (Field::ParentProcessName, "b.exe")])));
        // The image is the command line's.
        for _ in 0..2 {
            assert_eq!(number(&[(Field::ParentProcessName, "b.exe"), (Field::CommandLine, "a.exe -x")]), 0);
        }
        assert_eq!(number(&[(Field::CommandLine, "a.exe -x")]), 0);
    }
}
