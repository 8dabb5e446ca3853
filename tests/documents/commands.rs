//! Every command in backticks or in a block of a document is one that the programs understand.

use super::documents;
use clap::{Command, CommandFactory as _, error::ErrorKind};

/// The words that stand for something, and something that they stand for.
const STANDS_FOR: &[(&str, &str)] =
    &[("…", ""), ("ID", "04ca2385"), ("KEY", "corp\\jdoe"), ("N", "3"), ("T", "2026-03-23T00:00:00Z")];

/// Commands of ours in a text: in backticks, and at the beginning of a line of a block.
fn commands(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside {
            out.push(line.trim_start().trim_start_matches("sudo ").trim_start_matches("-u exfil-agent ").to_owned());
        } else {
            out.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let strip = |c: String| {
        let c = c.trim_start_matches("sudo ").trim_start_matches("-u exfil-agent ").to_owned();
        c.replace("./target/release/", "")
    };
    let ours = |c: &String| c.starts_with("agentctl ") || c.starts_with("exfil-agent ");
    out.into_iter().map(strip).filter(ours).collect()
}

/// The words of a command, as a shell takes them apart; what is behind a pipe or a comment belongs to another.
fn words(command: &str) -> Option<Vec<String>> {
    let own = command.split([';', '|', '>']).next().unwrap().split("  #").next().unwrap();
    let own = own.split(" && ").next().unwrap();
    // A choice is written as `a|b`, an optional part in brackets: both are for people.
    if command.contains("a|b") || own.contains('[') || own.contains("$(") {
        return None;
    }
    let mut words = Vec::new();
    let (mut word, mut quote) = (String::new(), None);
    for c in own.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (c, Some(q)) if c == q => quote = None,
            (' ', None) => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            (c, _) => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    let meant = |w: String| STANDS_FOR.iter().find(|(name, _)| *name == w).map_or(w.clone(), |(_, m)| (*m).to_owned());
    Some(words.into_iter().map(meant).filter(|w| !w.is_empty()).collect())
}

#[test]
fn every_command_of_the_documents_is_understood() {
    let parsers: [(&str, Command); 2] =
        [("agentctl", exfil_agent::ctl::Cli::command()), ("exfil-agent", exfil_agent::commands::Cli::command())];
    let (mut understood, mut wrong) = (0, Vec::new());
    for (path, text) in documents() {
        for command in commands(&text) {
            let Some(words) = words(&command) else { continue };
            let (_, parser) = parsers.iter().find(|(name, _)| *name == words[0]).unwrap();
            match parser.clone().try_get_matches_from(&words) {
                Ok(_) => understood += 1,
                // A command may be named without what it needs.
                Err(e)
                    if matches!(
                        e.kind(),
                        ErrorKind::MissingRequiredArgument
                            | ErrorKind::MissingSubcommand
                            | ErrorKind::DisplayHelp
                            | ErrorKind::DisplayVersion
                            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                    ) =>
                {
                    understood += 1;
                }
                Err(e) => wrong.push(format!("{path}: `{command}`: {e}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(understood > 40, "only {understood} commands were found");
}
