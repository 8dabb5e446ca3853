//! `state dump` and `state stats`.

use super::sample::HOSTILE;
use super::{agentctl, render, try_agentctl};
use crate::config::Settings;
use crate::ctl::view::{DumpFilter, InstanceRow, SourceLine, ViewError};
use crate::ctl::{Cli, answer};
use clap::Parser;
use expect_test::expect;
use std::io::{self, Write};

#[test]
fn a_dump_is_a_table_an_instance_and_tells_its_epochs() {
    expect![[r#"
        M-ORG  *
        N 3, C 2, confidence 0.415, learning, 2 history days
        saturated: bins were lost to the limit, nothing counts as new
        value                                      count   share  first seen   last seen
        ─────────────────────────────────────────────────────────────────────────────────
        corp\jdoe                                      2  66.7 %  2026-02-01  2026-03-14
        =1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp,      1  33.3 %  2026-02-01  2026-03-14
        "x"\r\n\x9b31m

        M-USER  corp\jdoe
        N 41, C 3, confidence 0.941, converged, 21 history days
        value                                           count   share  first seen   last seen
        ──────────────────────────────────────────────────────────────────────────────────────
        c:\users\%user%\appdata\local\temp\*\setup.exe     30  73.2 %  2026-02-01  2026-03-14
        c:\windows\temp\update.exe                         10  24.4 %  2026-02-01  2026-03-14
        d:\temp\x.exe                                       1   2.4 %  2026-02-01  2026-03-14

        (running agent, pid 812, epochs 70 to 77)
    "#]]
    .assert_eq(&agentctl("state dump", 90));
}

#[test]
fn a_dump_fits_a_narrow_terminal() {
    expect![[r#"
        M-USER  corp\jdoe
        N 41, C 3, confidence 0.941, converged,
        21 history days
          value
            c:\users\%user%\appdata\local\temp\*
            \setup.exe
          count         30
          share         73.2 %
          first seen    2026-02-01
          last seen     2026-03-14

          value
            c:\windows\temp\update.exe
          count         10
          share         24.4 %
          first seen    2026-02-01
          last seen     2026-03-14

        (running agent, pid 812, epochs 70 to
        77)
    "#]]
    .assert_eq(&agentctl("state dump --model M-USER --limit 2", 40));
}

#[test]
fn a_dump_for_programs_is_one_bin_a_line_with_its_instance() {
    let json = agentctl("state dump --format json", 0);
    let rows: Vec<InstanceRow> = json.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[1].value, HOSTILE);
    let csv = agentctl("state dump --format csv --scope CORP\\JDOE --feature .EXE", 0);
    expect![[r#"
        model,scope,value,count,share,first_seen,last_seen,n,c,confidence,converged,saturated,history_days
        M-USER,corp\jdoe,c:\users\%user%\appdata\local\temp\*\setup.exe,30,0.7317073170731707,2026-02-01,2026-03-14,41,3,0.9407,true,false,21
        M-USER,corp\jdoe,c:\windows\temp\update.exe,10,0.24390243902439024,2026-02-01,2026-03-14,41,3,0.9407,true,false,21
        M-USER,corp\jdoe,d:\temp\x.exe,1,0.024390243902439025,2026-02-01,2026-03-14,41,3,0.9407,true,false,21
    "#]].assert_eq(&csv);
}

#[test]
fn filters_take_what_fits_and_nothing_else() {
    for (line, bins) in [
        ("state dump", 5),
        ("state dump --scope *", 2),
        ("state dump --model m-user", 3),
        ("state dump --model M-USER --feature update", 1),
        ("state dump --limit 3", 3),
    ] {
        assert_eq!(agentctl(&format!("{line} --format json"), 0).lines().count(), bins, "{line}");
    }
    assert!(agentctl("state dump --feature none", 80).starts_with("nothing learned that fits\n"));
    let head = agentctl("state dump --feature none --format csv", 0);
    assert!(head.starts_with("model,scope,value,count,share,") && head.lines().count() == 1, "{head}");
}

#[test]
fn a_model_or_scope_that_there_is_not_is_told_from_one_without_values() {
    for (line, wanted) in [
        ("state dump --model M-USR", "there is no model \"M-USR\"; did you mean \"M-USER\"?"),
        ("state dump --scope jdoe", "nothing was learned about jdoe; did you mean corp\\jdoe?"),
        ("state dump --scope corp\\jdeo", "nothing was learned about corp\\jdeo; did you mean corp\\jdoe?"),
        ("state dump --scope zebra", "nothing was learned about zebra"),
        ("state dump --model M-ORG --scope corp\\jdoe", "nothing was learned about corp\\jdoe"),
    ] {
        let (done, said) = try_agentctl(line, 80);
        let error = done.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_code(), said.as_str()), (wanted, 3, ""), "{line}");
    }
}

#[test]
fn stats_are_a_page_an_object_and_names_with_values() {
    expect![[r#"
        State
          from              stopped state /var/lib/exfil-agent of 2026-03-14 10:00 UTC, epoch 4711
          entities          130 users, 95 hosts, 6 peer groups
          guards            2210
          alerts kept       312
          spool files       3
          payload           120.6 KiB
          on disk           1.0 MiB
          snapshots         3, 96.7 KiB; the newest of commit 4700
          schema            1

        Models
        model   instances  converged  saturated  bins  bytes  oldest day  newest day
        ─────────────────────────────────────────────────────────────────────────────
        M-USER        120         60          0   410  25010  2026-02-01  2026-03-14
        M-ORG           1          0          0    37   2257  2026-02-01  2026-03-14
    "#]]
    .assert_eq(&agentctl("state stats", 90));
    assert!(agentctl("state stats --format csv", 0).contains("\nmodels.0.bins,410\n"));
    assert!(agentctl("state stats --format json", 0).contains(r#""agent":"stopped","dir":"/var/lib/exfil-agent""#));
}

/// An instance of any size, made as it is asked for.
struct Endless {
    given: u64,
}

impl crate::ctl::view::View for Endless {
    fn records(&mut self, _: &[u8], _: crate::ctl::view::TakeRecord<'_>) -> Result<(), ViewError> {
        Ok(())
    }

    fn source(&self) -> SourceLine {
        SourceLine::default()
    }
    fn instances(
        &mut self,
        _: &DumpFilter,
        each: &mut dyn FnMut(InstanceRow) -> io::Result<()>,
    ) -> Result<(), ViewError> {
        loop {
            self.given += 1;
            each(InstanceRow { value: self.given.to_string(), ..InstanceRow::default() }).map_err(ViewError::Output)?;
        }
    }
    fn stats(&mut self) -> Result<crate::ctl::view::StateStats, ViewError> {
        Err(ViewError::Corrupt("damaged".into()))
    }
    fn status(&mut self) -> Result<crate::ctl::view::StatusReport, ViewError> {
        Err(ViewError::Unreachable("nobody".into()))
    }
    fn alerts(&mut self, _: usize) -> Result<Vec<crate::ctl::view::AlertRow>, ViewError> {
        Err(ViewError::Failed("no".into()))
    }
    fn alerts_after(&mut self, _: u64) -> Result<Vec<crate::ctl::view::AlertRow>, ViewError> {
        Err(ViewError::Failed(String::new()))
    }
    fn alert(&mut self, _: &str) -> Result<crate::ctl::view::StoredAlert, ViewError> {
        Err(ViewError::NotFound("no".into()))
    }
    fn rules(&mut self) -> Result<Vec<crate::ctl::view::RuleRow>, ViewError> {
        Err(ViewError::Failed("no".into()))
    }
    fn silenced(&mut self) -> Result<Vec<crate::ctl::view::SilencedRow>, ViewError> {
        Err(ViewError::Failed("no".into()))
    }
}

/// A pipe whose reader leaves after so many bytes.
struct ShortPipe(usize);

impl Write for ShortPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_dump_without_end_stops_quietly_when_its_reader_leaves() {
    for format in ["table", "json", "csv"] {
        let cli = Cli::try_parse_from(["agentctl", "state", "dump", "--format", format]).unwrap();
        let mut pipe = ShortPipe(100_000);
        let mut output = crate::ctl::output::Output::new(&mut pipe, cli.format, Default::default(), false);
        let open = |_: &crate::ctl::Place, _: &Settings| -> Result<Box<dyn crate::ctl::view::View>, ViewError> {
            Ok(Box::new(Endless { given: 0 }))
        };
        let error = answer(&cli, &Settings::default(), &open, &mut output).unwrap_err();
        assert_eq!(error.exit_code(), 0, "{error}");
    }
}

#[test]
fn every_kind_of_trouble_has_its_exit_code() {
    let open = |_: &crate::ctl::Place, _: &Settings| -> Result<Box<dyn crate::ctl::view::View>, ViewError> {
        Ok(Box::new(Endless { given: 0 }))
    };
    for (line, code) in [("state stats", 4), ("status", 5), ("alerts list", 1), ("alerts show abcd", 3)] {
        let cli = Cli::try_parse_from(std::iter::once("agentctl").chain(line.split(' '))).unwrap();
        let (done, _) = render(80, None, |output| answer(&cli, &Settings::default(), &open, output));
        assert_eq!(done.unwrap_err().exit_code(), code, "{line}");
    }
}
