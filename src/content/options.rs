//! Options: parts of the content that are off until a site names them in `[detection] options`.

use super::fault::{Faults, suggest};
use super::section::Section;
use std::collections::BTreeSet;

/// The options that a site has switched on, and those that the content has.
#[derive(Debug, Default)]
pub struct SiteOptions {
    on: BTreeSet<String>,
    known: BTreeSet<String>,
}

impl SiteOptions {
    /// With these switched on.
    pub fn new(on: &[String]) -> SiteOptions {
        SiteOptions { on: on.iter().cloned().collect(), known: BTreeSet::new() }
    }

    /// Whether a part of the content counts: it belongs to no option, or to one at least that is on.
    pub fn include(&mut self, section: &Section<'_>, faults: &mut Faults) -> bool {
        let Some(names) = section.strings("option", faults) else { return true };
        let is_on = names.iter().any(|name| self.on.contains(name));
        self.known.extend(names);
        is_on
    }

    /// After everything has been read: options that no content has are a fault.
    pub fn check(&self, faults: &mut Faults) {
        for name in self.on.difference(&self.known) {
            let hint = suggest(name, self.known.iter().map(String::as_str));
            faults.add("config", 0, "[detection] options", format!("no content has the option {name:?}{hint}"));
        }
    }
}
