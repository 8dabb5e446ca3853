//! What is wrong with content or config: file, line, which item, what, and what to write instead.
//!
//! Loading never stops at the first fault: everything that can be found is collected in [`Faults`].

use std::fmt;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as the user knows it.
    pub file: String,
    /// 1-based line, 0 when the fault belongs to the whole file.
    pub line: usize,
    /// The item (`rule FA-TEMP-DIRECTORY-F`), empty when there is none.
    pub item: String,
    /// What is wrong and what to do, one sentence.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.line == 0 { self.file.clone() } else { format!("{}:{}", self.file, self.line) };
        if self.item.is_empty() {
            write!(f, "{place}: {}", self.message)
        } else {
            write!(f, "{} ({place}): {}", self.item, self.message)
        }
    }
}

/// All faults of one load.
#[derive(Clone, Debug, Default)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, file: &str, line: usize, item: &str, message: impl Into<String>) {
        self.0.push(Fault { file: file.into(), line, item: item.into(), message: message.into() });
    }
    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// `Ok(value)` when nothing is wrong.
    ///
    /// # Errors
    /// The faults themselves, sorted by file and line.
    pub fn check<T>(mut self, value: T) -> Result<T, Faults> {
        if self.is_empty() {
            return Ok(value);
        }
        self.0.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        self.0.dedup();
        Err(self)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// `; did you mean "x"?` when a candidate is close enough, else `; one of: a, b, c` for short lists, else nothing.
pub fn suggest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let best = candidates.iter().map(|c| (distance(&given.to_lowercase(), &c.to_lowercase()), *c)).min();
    match best {
        Some((d, c)) if d <= (given.chars().count() / 3).max(1) => format!("; did you mean {c:?}?"),
        _ if !candidates.is_empty() && candidates.len() <= 12 => format!("; one of: {}", candidates.join(", ")),
        _ => String::new(),
    }
}

/// Edit distance (insert, delete, replace), in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (cb, above) in b.iter().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(ca != *cb);
            left = cost.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_suggested_and_a_far_one_is_not() {
        assert_eq!(suggest("FA-UP-TMP", ["FA-UP-TEMP", "WEB-OU-FS"]), "; did you mean \"FA-UP-TEMP\"?");
        assert_eq!(suggest("zzz", ["alpha", "beta"]), "; one of: alpha, beta");
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn a_fault_reads_as_item_place_and_sentence() {
        let mut faults = Faults::default();
        faults.add("rules/x.toml", 12, "rule X", "unknown model \"Y\"");
        assert_eq!(faults.check(()).unwrap_err().to_string(), "rule X (rules/x.toml:12): unknown model \"Y\"");
    }
}
