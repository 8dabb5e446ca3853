//! `steps.toml`: what is done to a spool, and what must come of it.
//!
//! `why` says what goes wrong in the field. `steps` are done in order; the word `"settle"` ends a group: the agent reads all
//! it can, and in the other runs it is stopped or killed there. `"pauses"` is a settle after which every pause is over too.
//! `"start"` says that the agent starts only here; otherwise it runs from the beginning. `[expect]` holds after the last
//! step; `[restarted]` replaces single expectations where that run and the killed one must differ, with a `because`.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What happens in the field.
    pub why: String,
    /// Config beyond the defaults.
    #[serde(default)]
    pub config: String,
    /// Hours after which a vanished file is forgotten; a config cannot say 0.
    pub forget_gone_hours: Option<u64>,
    /// Permissions matter: played by the real daemon, which root starts without its right to read everything.
    #[serde(default)]
    pub needs_permissions: bool,
    /// The run in which the daemon is killed belongs to `cargo test`, too; otherwise only to `make torture`.
    #[serde(default)]
    pub always_kill: bool,
    steps: Vec<Line>,
    pub expect: Expect,
    #[serde(default)]
    pub restarted: Expect,
}

/// What must hold at the end. What is left out is not compared, but every line is judged once or not at all.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Why a run differs.
    pub because: Option<String>,
    /// The lines that are judged, each once.
    pub judged: Option<String>,
    /// How many lines are judged a second time. Nothing but a known limit may say so.
    pub judged_again: Option<u64>,
    /// Whether the lines of one file may come in another order than that of their numbers.
    pub unordered: Option<bool>,
    pub rejects: Option<BTreeMap<String, u64>>,
    pub oddities: Option<BTreeMap<String, u64>>,
    pub headers: Option<u64>,
    pub blank: Option<u64>,
    /// Counters of the source, summed over all lives of the agent; not compared where it was killed, since they die with it.
    pub counters: Option<BTreeMap<String, u64>>,
    /// What the source says about files, at the end.
    pub states: Option<BTreeMap<String, String>>,
    /// Bytes that wait, at the end.
    pub pending: Option<u64>,
    /// Positions kept, at the end.
    pub positions: Option<usize>,
    /// Why a spool cannot be listed begins with this.
    pub missing: Option<String>,
    /// The lines that are judged when a replay over the kept state follows; only in this process.
    pub replayed: Option<String>,
    /// Lines of the log, and how often each is there; only the real daemon has a log.
    pub says: Option<BTreeMap<String, usize>>,
}

impl Expect {
    /// These expectations, and those of `base` where there are none.
    pub fn over(&self, base: &Expect) -> Expect {
        let (a, b) = (self.clone(), base.clone());
        Expect {
            because: a.because,
            judged: a.judged.or(b.judged),
            judged_again: a.judged_again.or(b.judged_again),
            unordered: a.unordered.or(b.unordered),
            rejects: a.rejects.or(b.rejects),
            oddities: a.oddities.or(b.oddities),
            headers: a.headers.or(b.headers),
            blank: a.blank.or(b.blank),
            counters: a.counters.or(b.counters),
            states: a.states.or(b.states),
            pending: a.pending.or(b.pending),
            positions: a.positions.or(b.positions),
            missing: a.missing.or(b.missing),
            replayed: a.replayed.or(b.replayed),
            says: a.says.or(b.says),
        }
    }
    fn differs(&self) -> bool {
        let Expect { because, judged, judged_again, unordered, rejects, oddities, headers, blank, .. } = self;
        let Expect { counters, states, pending, positions, missing, replayed, says, .. } = self;
        let any = judged.is_some() || unordered.is_some() || rejects.is_some() || oddities.is_some();
        let any = any
            || judged_again.is_some()
            || headers.is_some()
            || blank.is_some()
            || counters.is_some()
            || states.is_some();
        let any = any || pending.is_some() || positions.is_some() || missing.is_some();
        let any = any || replayed.is_some() || says.is_some();
        assert!(!any || because.is_some(), "a run that differs says `because`");
        any
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Word(String),
    Act(Box<Act>),
}

/// One step: one verb, and its arguments. Paths are below the spool; `../x` lies beside it.
#[derive(Deserialize, Default, Clone, Debug)]
#[serde(deny_unknown_fields, default)]
pub struct Act {
    /// Adds `text` at the end.
    pub append: Option<String>,
    /// Truncates, then writes `text`: the same inode.
    pub write: Option<String>,
    /// Writes `text` over what stands at byte `at`, without truncation.
    pub fill: Option<String>,
    /// Writes `text` to another file, then renames it over this one.
    pub replace: Option<String>,
    pub text: Option<String>,
    /// Raw bytes, hexadecimal, instead of `text`.
    pub hex: Option<String>,
    /// How `text` is stored: `gz`, `zst`, `utf16le`, `utf16be`, `latin1`.
    pub stored: Option<String>,
    /// Only this part of the stored bytes, per cent.
    pub part: Option<(usize, usize)>,
    pub at: Option<u64>,
    /// In so many writes, with a settle after each.
    pub pieces: Option<usize>,
    /// In two writes, cut after the first byte of this text, with a settle between.
    pub cut_in: Option<String>,
    pub rename: Option<(String, String)>,
    pub copy: Option<(String, String)>,
    /// Copies, then truncates the original at once.
    pub copytruncate: Option<(String, String)>,
    /// Writes a compressed copy (by the name's end) and removes the original.
    pub compress: Option<(String, String)>,
    pub truncate: Option<String>,
    /// Extends with a hole to this size.
    pub extend: Option<(String, u64)>,
    pub remove: Option<String>,
    pub hard_link: Option<(String, String)>,
    pub symlink: Option<(String, String)>,
    pub fifo: Option<String>,
    pub socket: Option<String>,
    pub mkdir: Option<String>,
    pub rmdir: Option<String>,
    /// Removes a directory with everything in it.
    pub remove_all: Option<String>,
    pub chmod: Option<(String, String)>,
}

/// What a runner does.
#[derive(Clone, Debug)]
pub enum Step {
    Start,
    Settle,
    Pauses,
    Act(Box<Act>),
}

impl Script {
    pub fn load(dir: &Path) -> Script {
        let path = dir.join("steps.toml");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let script: Script = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(script.why.len() > 20, "{}: why?", path.display());
        let _ = script.restarted.differs();
        script
    }

    /// The steps, with those that stand for several taken apart; a settle at the end.
    pub fn steps(&self) -> Vec<Step> {
        let mut out = Vec::new();
        for line in &self.steps {
            match line {
                Line::Word(word) => out.push(match word.as_str() {
                    "start" => Step::Start,
                    "settle" => Step::Settle,
                    "pauses" => Step::Pauses,
                    other => panic!("no such step: {other}"),
                }),
                Line::Act(act) => out.extend(taken_apart(act)),
            }
        }
        if !matches!(out.last(), Some(Step::Settle | Step::Pauses)) {
            out.push(Step::Settle);
        }
        if !out.iter().any(|s| matches!(s, Step::Start)) {
            out.insert(0, Step::Start);
        }
        out
    }
}

/// A step that is done in pieces.
fn taken_apart(act: &Act) -> Vec<Step> {
    let bytes = act.bytes();
    let cuts: Vec<usize> = if let Some(pieces) = act.pieces {
        (1..pieces).map(|i| bytes.len() * i / pieces).collect()
    } else if let Some(inside) = &act.cut_in {
        let at = bytes.windows(inside.len()).position(|w| w == inside.as_bytes());
        vec![at.unwrap_or_else(|| panic!("no {inside:?} in the text")) + 1]
    } else {
        return vec![Step::Act(Box::new(act.clone()))];
    };
    assert!(act.append.is_some(), "only what is appended comes in pieces");
    let mut from = 0;
    let mut steps = Vec::new();
    for to in cuts.into_iter().chain([bytes.len()]) {
        let hex: String = bytes[from..to].iter().map(|b| format!("{b:02x}")).collect();
        let piece = Act { append: act.append.clone(), hex: Some(hex), ..Act::default() };
        steps.push(Step::Act(Box::new(piece)));
        steps.push(Step::Settle);
        from = to;
    }
    steps
}
