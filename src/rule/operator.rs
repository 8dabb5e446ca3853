//! The operators on a command line: what content may ask of its tokens, arguments and switches.
//!
//! Each is a row of the table in the tests of `content::condition`. No operator names a tool.

use super::command_line::Line;
use super::text::TextTest;
use std::fmt;

/// A question about a command line.
#[derive(Clone, Debug)]
pub enum Operator {
    /// Some token passes.
    Token(TextTest),
    /// Some argument after the program passes.
    Arg(TextTest),
    /// The first argument after the program passes.
    ArgFirst(TextTest),
    /// The last argument after the program passes.
    ArgLast(TextTest),
    /// The first argument after the program that is no switch passes.
    FirstOperand(TextTest),
    /// The first argument that is no switch after an argument that passes `after` passes `test`.
    ArgAfter {
        /// What stands before.
        after: TextTest,
        /// What the next argument that is no switch must pass.
        test: TextTest,
    },
    /// The text after the program and the switches that follow it passes (with its quotes).
    AfterSwitches(TextTest),
    /// Tokens that pass, in this order; others may stand between.
    Sequence(Vec<TextTest>),
    /// Some switch has the name, and the value if one is asked for.
    Switch(SwitchTest),
}

/// A question about switches.
#[derive(Clone, Debug)]
pub struct SwitchTest {
    /// Compares names without regard to case.
    pub folded: TextTest,
    /// Compares names with regard to case.
    pub exact: TextTest,
    /// Whether case counts for every tool, not only for those whose switches differ by case.
    pub case: bool,
    /// Whether the comparison reads the switch with its attached value (`s:file`) instead of its name.
    pub body: bool,
    /// What the value must pass.
    pub value: Option<TextTest>,
}

impl SwitchTest {
    fn names(&self, line: &Line<'_>) -> &TextTest {
        if self.case || line.case { &self.exact } else { &self.folded }
    }
}

impl Operator {
    /// The text that passed, `None` when nothing did.
    pub fn find<'s>(&self, line: &Line<'s>) -> Option<&'s [u8]> {
        match self {
            Operator::Token(test) => line.tokens.iter().map(|t| line.get(&t.text)).find(|t| test.holds(t)),
            Operator::Arg(test) => line.operands_and_switches().find(|a| test.holds(a)),
            Operator::ArgFirst(test) => line.operands_and_switches().next().filter(|a| test.holds(a)),
            Operator::ArgLast(test) => line.operands_and_switches().next_back().filter(|a| test.holds(a)),
            Operator::FirstOperand(test) => {
                line.operands_and_switches().find(|a| !line.is_switch(a)).filter(|a| test.holds(a))
            }
            Operator::ArgAfter { after, test } => find_after(line, after, test),
            Operator::AfterSwitches(test) => Some(line.after_switches()).filter(|t| test.holds(t)),
            Operator::Sequence(tests) => find_sequence(line, tests),
            Operator::Switch(test) => find_switch(line, test),
        }
    }

    /// How content spells the operator.
    pub fn name(&self) -> &'static str {
        match self {
            Operator::Token(_) => "token",
            Operator::Arg(_) => "arg",
            Operator::ArgFirst(_) => "arg_first",
            Operator::ArgLast(_) => "arg_last",
            Operator::FirstOperand(_) => "first_operand",
            Operator::ArgAfter { .. } => "arg_after",
            Operator::AfterSwitches(_) => "after_switches",
            Operator::Sequence(_) => "sequence",
            Operator::Switch(SwitchTest { body: true, .. }) => "switch_prefix",
            Operator::Switch(_) => "switch",
        }
    }

    /// The tests of which each needs some text of the command line.
    pub fn texts(&self) -> Vec<&TextTest> {
        match self {
            Operator::Token(t)
            | Operator::Arg(t)
            | Operator::ArgFirst(t)
            | Operator::ArgLast(t)
            | Operator::FirstOperand(t)
            | Operator::AfterSwitches(t) => vec![t],
            Operator::ArgAfter { after, test } => vec![after, test],
            Operator::Sequence(tests) => tests.iter().collect(),
            Operator::Switch(test) => std::iter::once(&test.folded).chain(&test.value).collect(),
        }
    }
}

fn find_after<'s>(line: &Line<'s>, after: &TextTest, test: &TextTest) -> Option<&'s [u8]> {
    // What the last word before us asks for is answered by the next argument that is no switch.
    let mut asked = false;
    for arg in line.operands_and_switches() {
        if asked && !line.is_switch(arg) {
            if test.holds(arg) {
                return Some(arg);
            }
            asked = false;
        }
        asked |= after.holds(arg);
    }
    None
}

fn find_sequence<'s>(line: &Line<'s>, tests: &[TextTest]) -> Option<&'s [u8]> {
    let mut tokens = line.tokens.iter().map(|t| line.get(&t.text));
    let mut last = None;
    for test in tests {
        last = Some(tokens.find(|t| test.holds(t))?);
    }
    last
}

fn find_switch<'s>(line: &Line<'s>, test: &SwitchTest) -> Option<&'s [u8]> {
    let names = test.names(line);
    let found = line.switches.iter().find(|s| {
        names.holds(line.get(if test.body { &s.body } else { &s.name }))
            && test.value.as_ref().is_none_or(|v| s.value.as_ref().is_some_and(|range| v.holds(line.get(range))))
    })?;
    Some(line.get(&found.body))
}

/// The question in words, without the operator's name: `equals put`.
impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operator::Token(t)
            | Operator::Arg(t)
            | Operator::ArgFirst(t)
            | Operator::ArgLast(t)
            | Operator::FirstOperand(t)
            | Operator::AfterSwitches(t) => t.fmt(f),
            Operator::ArgAfter { after, test } => write!(f, "{test}, after one that {after}"),
            Operator::Sequence(tests) => {
                for (i, test) in tests.iter().enumerate() {
                    write!(f, "{}{test}", if i == 0 { "" } else { ", then " })?;
                }
                Ok(())
            }
            Operator::Switch(test) => {
                // As content writes it: `T` for a tool whose `t` is another switch.
                write!(f, "{}", test.exact)?;
                match &test.value {
                    Some(value) => write!(f, " with a value that {value}"),
                    None => Ok(()),
                }
            }
        }
    }
}
