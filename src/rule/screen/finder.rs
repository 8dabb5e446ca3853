//! Which of some groups an event gives a chance: by hash of its images, by flag, and by literals within its texts.

use super::{Mask, mark};
use crate::event::{EventView, Field, FieldSet, Flag};
use crate::rule::anchor::{self, Atom};
use crate::rule::condition::Condition;
use crate::rule::literals::LiteralSet;
use crate::rule::scratch::Scratch;
use crate::rule::sieve::Sieve;
use std::collections::{BTreeMap, HashMap};

/// Finds groups.
#[derive(Debug, Default)]
pub struct Finder {
    /// Groups without an anchor.
    always: Mask,
    images: Names,
    parents: Names,
    flags: Vec<(Flag, Mask)>,
    literals: Vec<(Field, LiteralSet)>,
    line_literals: Option<LiteralSet>,
}

/// What the names of images are looked up in: nearly none of them is there.
#[derive(Debug)]
struct Names {
    sieve: Sieve,
    named: HashMap<Box<[u8]>, Named, foldhash::fast::RandomState>,
}

impl Default for Names {
    fn default() -> Names {
        NamesBuilder::default().finish(0)
    }
}

impl Names {
    #[inline]
    fn get(&self, name: &[u8]) -> Option<&Named> {
        if self.sieve.passes(name) { self.named.get(name) } else { None }
    }
}

/// Groups that are found by one name.
#[derive(Debug)]
struct Named {
    /// Those for which the name is enough.
    mask: Mask,
    /// Those that ask for a literal on the command line besides.
    on_line: Option<LiteralSet>,
}

impl Finder {
    /// Of some groups, by their conditions; masks have so many words.
    pub fn new<'c>(groups: impl Iterator<Item = (usize, &'c Condition)>, words: usize) -> Finder {
        let mut finder = Finder { always: vec![0; words].into(), ..Finder::default() };
        let (mut images, mut parents) = (NamesBuilder::default(), NamesBuilder::default());
        let mut literals: BTreeMap<Field, Literals> = BTreeMap::new();
        for (at, condition) in groups {
            let Some(anchor) = anchor::of(condition.quick()) else {
                mark(&mut finder.always, at);
                continue;
            };
            let on_line = anchor::on_line(condition.quick());
            for atom in anchor.atoms {
                match atom {
                    Atom::Image(name) => images.add(name, at, on_line.as_deref()),
                    Atom::ParentImage(name) => parents.add(name, at, on_line.as_deref()),
                    Atom::Within(field, text) => literals.entry(field).or_default().entry(text).or_default().push(at),
                    Atom::Flag(flag) => finder.add_flag(flag, at, words),
                }
            }
        }
        finder.images = images.finish(words);
        finder.parents = parents.finish(words);
        for (field, texts) in literals {
            finder.add_literals(field, &texts);
        }
        finder
    }

    /// Fields that finding reads besides those of the conditions.
    pub fn looks_up(&self) -> FieldSet {
        let of = |names: &Names, field| if names.named.is_empty() { FieldSet::default() } else { FieldSet::of(field) };
        of(&self.images, Field::Image).union(of(&self.parents, Field::ParentImage))
    }

    /// Marks the groups that can hold among the candidates of the scratch; false when there are none.
    #[inline]
    pub fn find(&self, event: EventView<'_>, scratch: &mut Scratch) -> bool {
        let mut candidates = std::mem::take(&mut scratch.candidates);
        candidates.clear();
        candidates.extend_from_slice(&self.always);
        for (names, field) in [(&self.images, Field::Image), (&self.parents, Field::ParentImage)] {
            if !names.named.is_empty()
                && let Some(named) = event.get(field).and_then(|name| names.get(name))
            {
                add(&mut candidates, &named.mask);
                if let Some(set) = &named.on_line
                    && let Some(text) = scratch.prepared(event)
                {
                    set.search_prepared(text, |group| mark(&mut candidates, group));
                }
            }
        }
        if event.draft.flags.0 != 0 {
            for (flag, mask) in &self.flags {
                if event.draft.flags.has(*flag) {
                    add(&mut candidates, mask);
                }
            }
        }
        for (field, set) in &self.literals {
            if let Some(text) = event.get(*field) {
                set.search(text, &mut scratch.lower, |group| mark(&mut candidates, group));
            }
        }
        if let Some(set) = &self.line_literals
            && let Some(text) = scratch.prepared(event)
        {
            set.search_prepared(text, |group| mark(&mut candidates, group));
        }
        let any = candidates.iter().any(|word| *word != 0);
        scratch.candidates = candidates;
        any
    }

    fn add_flag(&mut self, flag: Flag, group: usize, words: usize) {
        if !self.flags.iter().any(|(f, _)| *f == flag) {
            self.flags.push((flag, vec![0; words].into()));
        }
        if let Some((_, mask)) = self.flags.iter_mut().find(|(f, _)| *f == flag) {
            mark(mask, group);
        }
    }

    fn add_literals(&mut self, field: Field, literals: &Literals) {
        match compile(literals) {
            Some(set) if field == Field::CommandLine => self.line_literals = Some(set),
            Some(set) => self.literals.push((field, set)),
            // Too many to search for: judge their groups always.
            None => literals.values().flatten().for_each(|group| mark(&mut self.always, *group)),
        }
    }
}

fn add(bits: &mut [u64], more: &[u64]) {
    for (word, extra) in bits.iter_mut().zip(more) {
        *word |= extra;
    }
}

/// Groups by the literals of which they need one.
type Literals = BTreeMap<Vec<u8>, Vec<usize>>;

fn compile(literals: &Literals) -> Option<LiteralSet> {
    let list: Vec<(Vec<u8>, Vec<usize>)> =
        literals.iter().map(|(text, groups)| (text.clone(), groups.clone())).collect();
    LiteralSet::new(&list)
}

/// Collects groups by a name: those for which it is enough, and those that need a literal besides.
#[derive(Default)]
struct NamesBuilder(BTreeMap<Vec<u8>, (Vec<usize>, Literals)>);

impl NamesBuilder {
    fn add(&mut self, name: Vec<u8>, group: usize, on_line: Option<&[Vec<u8>]>) {
        let (plain, literals) = self.0.entry(name).or_default();
        match on_line {
            None => plain.push(group),
            Some(texts) => texts.iter().for_each(|t| literals.entry(t.clone()).or_default().push(group)),
        }
    }

    fn finish(self, words: usize) -> Names {
        let named = |(mut plain, literals): (Vec<usize>, Literals)| {
            let on_line = if literals.is_empty() { None } else { compile(&literals) };
            if on_line.is_none() {
                plain.extend(literals.values().flatten());
            }
            let mut mask: Mask = vec![0; words].into();
            plain.iter().for_each(|group| mark(&mut mask, *group));
            Named { mask, on_line }
        };
        let sieve = Sieve::of(self.0.keys().map(Vec::as_slice));
        Names { sieve, named: self.0.into_iter().map(|(name, groups)| (name.into(), named(groups))).collect() }
    }
}
