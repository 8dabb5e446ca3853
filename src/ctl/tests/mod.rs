//! agentctl's answers over a made-up agent: what a person and a program see. `UPDATE_EXPECT=1` writes them anew.

mod alerts;
mod cli;
mod rules;
mod sample;
mod state;
mod status;

use super::output::{Format, Output};
use super::page::Look;
use super::view::ViewError;
use super::{Cli, answer};
use crate::config::Settings;
use clap::Parser;
use sample::Sample;

/// What `agentctl <line>` writes on a terminal of this width (0 is a pipe), with tables as the default.
fn agentctl(line: &str, width: usize) -> String {
    let (done, text) = try_agentctl(line, width);
    done.unwrap();
    text
}

fn try_agentctl(line: &str, width: usize) -> (Result<(), ViewError>, String) {
    let cli = Cli::try_parse_from(std::iter::once("agentctl").chain(line.split_whitespace())).unwrap();
    render(width, cli.format, |output| {
        answer(&cli, &Settings::default(), &|_, _| Ok(Box::new(Sample::default())), output)
    })
}

fn render(
    width: usize,
    format: Option<Format>,
    run: impl FnOnce(&mut Output<'_>) -> Result<(), ViewError>,
) -> (Result<(), ViewError>, String) {
    let mut bytes = Vec::new();
    let look = Look { width: Some(width).filter(|w| *w > 0), color: false };
    let done = run(&mut Output::new(&mut bytes, format, look, true));
    let text = String::from_utf8(bytes).unwrap();
    assert_harmless(&text);
    if width > 0 && format.is_none() {
        let long: Vec<&str> = text.lines().filter(|l| unicode_width::UnicodeWidthStr::width(*l) > width).collect();
        assert!(long.is_empty(), "wider than {width}: {long:#?}");
    }
    (done, text)
}

/// Nothing but what can be seen.
fn assert_harmless(text: &str) {
    assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
}
