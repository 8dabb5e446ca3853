//! Buffers that judging an event needs, used again from event to event, and the command line of the current event,
//! normalised and taken apart at most once.
//!
//! Nothing is allocated in the steady state. The rules of cutting are in `command_line`; this file only keeps the result.

use super::command_line::{self, Arg, Line, Switch, Token};
use super::literals;
use super::tools::Tools;
use crate::event::{EventView, Field};

/// Longest command line judged whole, characters: the longest that Windows takes.
const COMMAND_CHARS: usize = 32_767;

/// Reusable memory of one worker.
#[derive(Debug)]
pub struct Scratch {
    limit: usize,
    stage: Stage,
    truncated: bool,
    cmd: Vec<u8>,
    joined: Vec<u8>,
    /// Whether `joined` differs from `cmd`.
    joins: bool,
    text: Vec<u8>,
    args: Vec<Arg>,
    tokens: Vec<Token>,
    switches: Vec<Switch>,
    case: bool,
    slash_cut: bool,
    /// The command line prepared for literal search, once `is_prepared`.
    prepared: Vec<u8>,
    is_prepared: bool,
    /// Texts made of several fields.
    made: [Vec<u8>; 2],
    /// Lower-case copy of another field; belongs to the screen.
    pub(super) lower: Vec<u8>,
    /// Candidates, one bit a group; belongs to the screen.
    pub(super) candidates: Vec<u64>,
    /// Groups that held in the last search; belongs to the screen.
    pub(super) held: Vec<u32>,
}

/// How much of the current event's command line has been prepared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Nothing,
    /// `cmd` and `joined`.
    Normalised,
    /// All of it.
    Cut,
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch::new(COMMAND_CHARS)
    }
}

impl Scratch {
    /// Empty buffers; command lines longer than `max_command_chars` characters are judged on their head and tail.
    pub fn new(max_command_chars: usize) -> Scratch {
        Scratch {
            limit: max_command_chars.max(2),
            stage: Stage::Nothing,
            truncated: false,
            cmd: Vec::new(),
            joined: Vec::new(),
            joins: false,
            text: Vec::new(),
            args: Vec::new(),
            tokens: Vec::new(),
            switches: Vec::new(),
            case: false,
            slash_cut: false,
            prepared: Vec::new(),
            is_prepared: false,
            made: [Vec::new(), Vec::new()],
            lower: Vec::new(),
            candidates: Vec::new(),
            held: Vec::new(),
        }
    }

    /// Forgets the last event.
    #[inline]
    pub fn begin(&mut self) {
        self.stage = Stage::Nothing;
        self.truncated = false;
        self.is_prepared = false;
    }

    /// The command line in lower case for literal search, see `literals::prepare`. `None` when the event has none.
    #[inline]
    pub fn prepared(&mut self, event: EventView<'_>) -> Option<&[u8]> {
        let raw = event.get(Field::CommandLine)?;
        if !self.is_prepared {
            literals::prepare(raw, &mut self.prepared);
            self.is_prepared = true;
        }
        Some(&self.prepared)
    }

    /// Whether the current event's command line was too long to be judged whole.
    #[inline]
    pub fn truncated(&mut self, event: EventView<'_>) -> bool {
        match event.get(Field::CommandLine) {
            // A text of so few bytes has no more characters.
            Some(raw) if raw.len() > self.limit => {
                self.normalise(event);
                self.truncated
            }
            _ => false,
        }
    }

    /// The normalised command line: no carets, single blanks. `None` when the event has no command line.
    pub fn cmd(&mut self, event: EventView<'_>) -> Option<&[u8]> {
        self.normalise(event).then_some(self.cmd.as_slice())
    }

    /// The normalised command line without the quotes that stand between two non-blanks: what `contains` reads.
    pub fn joined(&mut self, event: EventView<'_>) -> Option<&[u8]> {
        if self.normalise(event) && self.joins { Some(&self.joined) } else { self.cmd(event) }
    }

    /// Whether normalising or joining changes the command line: most stay as they are.
    pub fn differs(&mut self, event: EventView<'_>) -> bool {
        self.normalise(event) && (self.joins || event.get(Field::CommandLine) != Some(self.cmd.as_slice()))
    }

    /// A buffer for a text made of several fields.
    pub fn made(&mut self) -> &mut Vec<u8> {
        let [first, _] = &mut self.made;
        first
    }

    /// Two of them.
    pub fn pair(&mut self) -> (&mut Vec<u8>, &mut Vec<u8>) {
        let [first, second] = &mut self.made;
        (first, second)
    }

    /// The command line taken apart. `None` when the event has no command line.
    pub fn line(&mut self, event: EventView<'_>, tools: &Tools) -> Option<Line<'_>> {
        if !self.normalise(event) {
            return None;
        }
        if self.stage < Stage::Cut {
            self.cut(event, tools);
        }
        Some(Line {
            cmd: &self.cmd,
            text: &self.text,
            args: &self.args,
            tokens: &self.tokens,
            switches: &self.switches,
            case: self.case,
            slash_cut: self.slash_cut,
        })
    }

    fn normalise(&mut self, event: EventView<'_>) -> bool {
        let Some(raw) = event.get(Field::CommandLine) else { return false };
        if self.stage == Stage::Nothing {
            command_line::normalise(raw, &mut self.cmd);
            self.truncated = command_line::truncate(&mut self.cmd, self.limit);
            self.joins = command_line::join_quotes(&self.cmd, &mut self.joined);
            self.stage = Stage::Normalised;
        }
        true
    }

    fn cut(&mut self, event: EventView<'_>, tools: &Tools) {
        let style = tools.style(event.get(Field::Image).unwrap_or_default());
        (self.case, self.slash_cut) = (style.case, style.slash_cut);
        command_line::cut_arguments(&self.cmd, &mut self.text, &mut self.args);
        command_line::cut_tokens(&self.text, &self.args, &mut self.tokens);
        command_line::read_switches(&self.text, &self.args, &self.tokens, style, &mut self.switches);
        self.stage = Stage::Cut;
    }
}
