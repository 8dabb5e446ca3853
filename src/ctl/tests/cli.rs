//! The command line itself.

use crate::ctl::Cli;
use crate::ctl::output::{Format, Output};
use clap::{CommandFactory, Parser};

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn options_stand_before_or_after_the_command() {
    for line in [
        "agentctl --format csv --state /tmp/s alerts list",
        "agentctl alerts list --format csv --state /tmp/s",
        "agentctl alerts --state /tmp/s list --format csv",
    ] {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        assert_eq!((cli.format, cli.place.state.unwrap().to_str()), (Some(Format::Csv), Some("/tmp/s")), "{line}");
    }
    assert!(Cli::try_parse_from(["agentctl", "status", "--state", "a", "--socket", "b"]).is_err());
    assert!(Cli::try_parse_from(["agentctl", "status", "--format", "xml"]).is_err());
}

#[test]
fn a_terminal_gets_tables_and_a_pipe_gets_json() {
    let mut sink = std::io::sink();
    let mut format = |given, terminal| Output::new(&mut sink, given, Default::default(), terminal).format;
    assert_eq!(format(None, true), Format::Table);
    assert_eq!(format(None, false), Format::Json);
    assert_eq!(format(Some(Format::Csv), true), Format::Csv);
}
