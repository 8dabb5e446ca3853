//! The source against a plain model: whatever is done to the files, every whole line arrives exactly once.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Action {
    /// Writes this many lines of about this length to the current file.
    Append(usize, usize),
    /// Writes the first half of a line; the next append to the same file ends it.
    Half,
    /// Moves `a.log` away; the next append makes a new one.
    Rotate,
    /// Moves `a.log` away and writes there once more.
    RotateAndWriteLate,
    CopyTruncate,
    /// The copy is seen before the original is truncated; the original may grow meanwhile.
    SlowCopyTruncate {
        grows: bool,
    },
    /// Compresses a rotated file.
    Compress {
        which: usize,
        zst: bool,
    },
    /// Another name for a rotated file.
    Rename {
        which: usize,
    },
    /// Deletes a rotated file that was read.
    Delete {
        which: usize,
    },
    /// Truncates the current file after it was read.
    Truncate,
    /// Deletes the current file after it was read; the next append makes it again.
    DeleteCurrent,
    /// Renames a new file over the current one after that was read.
    Replace(usize),
    /// Adds a member to a file that was compressed before.
    AddMember {
        which: usize,
    },
    Settle,
    Stop,
    /// Killed: of what was read this many batches were committed, and neither records nor positions of the rest.
    Kill(usize),
    Wait,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1_usize..40, prop_oneof![Just(10_usize), 10_usize..300, Just(5000)]).prop_map(|(n, l)| Action::Append(n, l)),
        2 => Just(Action::Half),
        2 => Just(Action::Rotate),
        1 => Just(Action::RotateAndWriteLate),
        2 => Just(Action::CopyTruncate),
        1 => any::<bool>().prop_map(|grows| Action::SlowCopyTruncate { grows }),
        2 => (0_usize..5, any::<bool>()).prop_map(|(which, zst)| Action::Compress { which, zst }),
        1 => (0_usize..5).prop_map(|which| Action::Rename { which }),
        1 => (0_usize..5).prop_map(|which| Action::Delete { which }),
        1 => Just(Action::Truncate),
        1 => Just(Action::DeleteCurrent),
        1 => (1_usize..20).prop_map(Action::Replace),
        1 => (0_usize..5).prop_map(|which| Action::AddMember { which }),
        5 => Just(Action::Settle),
        2 => Just(Action::Stop),
        2 => (0_usize..6).prop_map(Action::Kill),
        1 => Just(Action::Wait),
    ]
}

struct Model {
    bench: Bench,
    written: Vec<String>,
    /// The second half of a line whose first half is in `a.log`.
    open: Option<String>,
    rotated: Vec<String>,
    names: usize,
    running: bool,
}

impl Model {
    fn new(limits: Limits) -> Model {
        let mut bench = Bench::new();
        bench.limits = limits;
        Model { bench, written: Vec::new(), open: None, rotated: Vec::new(), names: 0, running: false }
    }

    fn line(&mut self, length: usize) -> String {
        let number = self.written.len();
        let line = format!("CEF:{number} {}", "abcdefghij".repeat(length / 10));
        self.written.push(line.clone());
        line + "\n"
    }

    fn end_line(&mut self) {
        if let Some(rest) = self.open.take() {
            self.bench.append("a.log", rest);
        }
    }

    fn name(&mut self, end: &str) -> String {
        self.names += 1;
        format!("a.log.{}{end}", self.names)
    }

    fn settle(&mut self) {
        self.bench.settle();
        self.running = true;
    }

    fn has_current(&self) -> bool {
        self.bench.path("a.log").exists()
    }

    fn rotated(&self, which: usize) -> Option<usize> {
        (!self.rotated.is_empty()).then(|| which % self.rotated.len())
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Append(n, length) => {
                self.end_line();
                let text: String = (0..n).map(|_| self.line(length)).collect();
                self.bench.append("a.log", text);
            }
            Action::Half => {
                self.end_line();
                let line = self.line(100);
                let (first, rest) = line.split_at(30);
                self.bench.append("a.log", first);
                self.open = Some(rest.to_owned());
            }
            Action::Rotate | Action::RotateAndWriteLate if self.has_current() => {
                self.end_line();
                let name = self.name("");
                self.bench.rename("a.log", &name);
                if matches!(action, Action::RotateAndWriteLate) {
                    let line = self.line(50);
                    self.bench.append(&name, line);
                }
                self.rotated.push(name);
            }
            Action::CopyTruncate if self.has_current() => {
                self.end_line();
                let name = self.name("");
                self.bench.copytruncate("a.log", &name);
                self.rotated.push(name);
            }
            Action::SlowCopyTruncate { grows } if self.has_current() => {
                self.end_line();
                self.settle();
                let name = self.name("");
                fs::copy(self.bench.path("a.log"), self.bench.path(&name)).unwrap();
                self.settle();
                if grows {
                    let line = self.line(50);
                    self.bench.append("a.log", line);
                    self.settle();
                }
                self.bench.write("a.log", "");
                self.settle();
                self.rotated.push(name);
            }
            Action::Compress { which, zst } => {
                if let Some(i) = self.rotated(which).filter(|i| !self.rotated[*i].contains('z')) {
                    let to = format!("{}{}", self.rotated[i], if zst { ".zst" } else { ".gz" });
                    self.bench.compress(&self.rotated[i], &to);
                    self.rotated[i] = to;
                }
            }
            Action::Rename { which } => {
                if let Some(i) = self.rotated(which) {
                    let to = self.name(if self.rotated[i].contains('z') { "z" } else { "" });
                    self.bench.rename(&self.rotated[i], &to);
                    self.rotated[i] = to;
                }
            }
            Action::Delete { which } => {
                if let Some(i) = self.rotated(which) {
                    self.settle();
                    self.bench.after_all_pauses();
                    let name = self.rotated.remove(i);
                    self.bench.remove(&name);
                }
            }
            Action::Truncate if self.has_current() => {
                self.end_line();
                self.settle();
                self.bench.write("a.log", "");
            }
            Action::DeleteCurrent if self.has_current() => {
                self.end_line();
                self.settle();
                self.bench.remove("a.log");
            }
            Action::Replace(n) if self.has_current() => {
                self.end_line();
                self.settle();
                let text: String = (0..n).map(|_| self.line(80)).collect();
                self.bench.write(".new", text);
                self.bench.rename(".new", "a.log");
            }
            Action::AddMember { which } => {
                if let Some(i) = self.rotated(which).filter(|i| self.rotated[*i].contains('z')) {
                    let text = self.line(60);
                    let bytes = match fs::read(self.bench.path(&self.rotated[i])).unwrap().first() {
                        Some(0x1f) => gz(text.as_bytes()),
                        _ => zstd::encode_all(text.as_bytes(), 3).unwrap(),
                    };
                    self.bench.append(&self.rotated[i], bytes);
                }
            }
            Action::Settle => self.settle(),
            Action::Kill(committed) => {
                self.bench.settle_and_kill(committed);
                self.running = false;
            }
            Action::Stop => {
                self.bench.stop();
                self.running = false;
            }
            Action::Wait if self.running => self.bench.after_all_pauses(),
            _ => {}
        }
    }

    fn check(mut self) -> Result<(), TestCaseError> {
        self.end_line();
        self.settle();
        self.bench.after_all_pauses();
        self.bench.restart();
        self.bench.after_all_pauses();
        let mut arrived: Vec<&str> = self.bench.taken.texts();
        let number = |line: &str| line[4..].split(' ').next().and_then(|n| n.parse::<usize>().ok());
        arrived.sort_by_key(|line| number(line));
        let got: Vec<_> = arrived.iter().map(|l| number(l)).collect();
        let want: Vec<_> = (0..self.written.len()).map(Some).collect();
        prop_assert_eq!(got, want);
        prop_assert_eq!(arrived, self.written.iter().map(String::as_str).collect::<Vec<_>>());
        prop_assert!(self.bench.taken.refused.is_empty());
        prop_assert_eq!(self.bench.counters().vanished_before_end, 0);
        Ok(())
    }
}

proptest! {
    #![proptest_config(crate::effort::cases_of(256))]
    #[test]
    fn every_line_arrives_exactly_once(
        actions in proptest::collection::vec(action(), 1..40),
        read_bytes in prop_oneof![Just(512 * 1024_usize), Just(6000)],
        max_open_files in prop_oneof![Just(512_usize), Just(2)],
    ) {
        let max_line_bytes = if read_bytes == 6000 { 5500 } else { 262_144 };
        let mut model = Model::new(Limits { read_bytes, max_line_bytes, max_open_files, ..Limits::default() });
        for action in actions {
            model.act(action);
        }
        model.check()?;
    }
}
