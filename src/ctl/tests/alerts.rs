//! `alerts list` and `alerts show`.

use super::sample::{HOSTILE, Sample, desk};
use super::{agentctl, render, try_agentctl};
use crate::ctl::alerts_show::{Arguments, run};
use crate::ctl::output::Format;
use crate::ctl::{AlertsCommand, Cli, Command as Asked, alerts_follow};
use clap::{Args, Command, FromArgMatches, Parser};
use expect_test::expect;

fn show(id: &str, width: usize, format: Option<Format>) -> String {
    let command = Arguments::augment_args(Command::new("show"));
    let arguments = Arguments::from_arg_matches(&command.get_matches_from(["show", id])).unwrap();
    let (done, text) = render(width, format, |output| run(&arguments, &mut Sample::default(), &desk(), output));
    done.unwrap();
    text
}

#[test]
fn a_list_shows_the_newest_last_and_hostile_text_as_text() {
    expect![[r#"
        id          time (UTC)           score  rule     entity          value                           again
        ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
        0000000100  2026-03-14 09:13:01     10  R-FIRST  user corp\jdoe  d:\temp\new.exe
        0000000200  2026-03-14 09:14:01      8  R-TOP    user corp\jdoe                                  1
        0000000300  2026-03-14 09:15:01     30  R-SUM    user corp\jdoe                                  2
        0000000400  2026-03-14 09:16:01     40  R-GONE   user corp\jdoe  =1\x1b]0;owned\x07\x1b[2J\u{20  3 suppressed
                                                                         2e}exe.fdp, "x"\r\n\x9b31m

        (running agent, pid 812, epoch 70)
    "#]]
    .assert_eq(&agentctl("alerts list", 110));
}

#[test]
fn a_narrow_terminal_gets_a_block_an_alert() {
    expect![[r#"
          id            0000000300
          time (UTC)    2026-03-14 09:15:01
          score         30
          rule          R-SUM
          entity        user corp\jdoe
          again         2

          id            0000000400
          time (UTC)    2026-03-14 09:16:01
          score         40
          rule          R-GONE
          entity        user corp\jdoe
          value
            =1\x1b]0;owned\x07\x1b[2J\u{202e}exe
            .fdp, "x"\r\n\x9b31m
          again         3 suppressed

        (running agent, pid 812, epoch 70)
    "#]]
    .assert_eq(&agentctl("alerts list --limit 2", 40));
}

#[test]
fn csv_has_all_columns_and_no_formula() {
    expect![[r#"
        seq,id,time,kind,rule,score,severity,entity_kind,entity,value,repeats,suppressed
        3,00000003000000000000000000abcdef,2026-03-14T09:15:01.000Z,detection,R-SUM,30,high,user,corp\jdoe,,2,false
        4,00000004000000000000000000abcdef,2026-03-14T09:16:01.000Z,detection,R-GONE,40,critical,user,corp\jdoe,"'=1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, ""x""\r\n\x9b31m",3,true
    "#]].assert_eq(&agentctl("alerts list --format csv --min-score 30", 0));
}

#[test]
fn json_holds_the_text_as_it_was() {
    let text = agentctl("alerts list --format json --rule r-gone", 0);
    let row: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(row["value"], HOSTILE);
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn filters_choose_before_the_limit_counts() {
    let ids = |line: &str| {
        let text = agentctl(line, 0);
        text.lines()
            .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["seq"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids("alerts list --format json --limit 1 --rule R-FIRST"), [1]);
    assert_eq!(ids("alerts list --format json --limit 1 --min-score 9"), [4]);
    assert_eq!(ids("alerts list --format json --entity JDO --limit 3"), [2, 3, 4]);
    assert_eq!(agentctl("alerts list --entity nobody", 0), "no alerts\n\n(running agent, pid 812, epoch 70)\n");
}

#[test]
fn a_first_time_is_explained_with_the_model_before_it() {
    expect![[r#"
        R-FIRST  First time of a process
        score 10 (medium), user corp\jdoe, peer group finance, 2026-03-14 09:13:01 UTC

        What happened
        A program, run by jdoe, wrote D:\out\plan.zip
          time              2026-03-14T09:13:01.000Z
          event             file-write
          user              jdoe
          file_path         D:\out\plan.zip
          read from         /var/spool/dtex/a.log, line 10233, byte 6700231

        Why it is unusual
        It is new for the user corp\jdoe. In 21 days of history the model has 41 observations (N) of 7
        different values (C), and never this one.
        The model has converged (confidence 0.94, needed are 0.80 and N 30) and knows at least 7 days, so
        that something new means something.

        The model M-USER of the user corp\jdoe before this event (What a user is used to):
          c:\users\%user%\appdata\local\temp\*\setup.exe 30 ████████████████████████████████████████
          c:\windows\temp\update.exe                     10 █████████████▍
          d:\temp\new.exe                                 0 ◄ new
        … and 5 more, which are rarer

        The rule's condition, as it was met
          is_temp           true  (the program ran from a temporary directory)

        It would not have fired if
          - d:\temp\new.exe had been counted for the user corp\jdoe before, even once
          - the user corp\jdoe had had fewer history days: 7 with a converged model, 14 without, are needed;
            there were 21, and the model was converged
          - the condition above had not been met
          - it had already fired for corp\jdoe and d:\temp\new.exe on 2026-03-14

        What the rule is about
        A process that has never run for this user from a temporary directory is often a dropper.

        What to look at next
          - Look at where the file came from.
          - Ask the user.

        Known false positives
          - Installers and updaters.

        References
          T1204             https://attack.mitre.org/techniques/T1204/
          see               https://example.org/rule
          after a rule by   A. Author
          licence           DRL-1.1

        Alert
          id                00000001000000000000000000abcdef
          per               d:\temp\new.exe
          once in           2026-03-14
          detected          2026-03-14 09:13:02 UTC
          rule revision     2
          sink file         delivered
          sink syslog       waiting

        (running agent, pid 812, epoch 70)
    "#]]
    .assert_eq(&show("00000001", 100, None));
}

#[test]
fn a_top_user_is_explained_on_a_narrow_terminal() {
    expect![[r#"
        R-TOP  One of the top users
        score 8 (low), user corp\jdoe, peer
        group finance, 2026-03-14 09:14:01 UTC

        What happened
        corp\jdoe visited
        https://files.example/up
          time          2026-03-14T09:14:01.000Z
          event         web-activity-allowed
          url           https://files.example/up
          web_domain    files.example
          read from
            /var/spool/dtex/a.log, line 10233,
            byte 6700231

        Why it is unusual
        corp\jdoe stands out in the
        organisation: number 1 of 8 (C) with 40
        of all 41 observations (N) in the last
        30 days, where the one in the middle has
        2.5; only the first place counts as the
        top.
        The model has converged (confidence
        0.94, needed are 0.80 and N 30): it
        knows what is normal here.

        The model M-ORG of the organisation
        before this event (What everyone is used
        to):
          corp\jdoe   40 █████████ ◄ this event
          corp\asmith 12 ██▊
          corp\bwong   3 ▋
        … and 5 more, which are rarer

        The rule's condition, as it was met
          is_file_sharing
            true  (the site is one for sharing
            files)

        It would not have fired if
          - corp\jdoe had not been the first; it
            was number 1 of 8
          - its count had been below 10 (at
            least 10, and 3 times the median of
            2.5); it was 40
          - fewer than 10 had been in M-ORG;
            there were 8
          - M-ORG had not converged for the
            organisation: N from 30 and
            confidence from 0.8 are needed;
            there were N 41 and 0.941
          - the condition above had not been met
          - files.example were one of the site's
            own, in detection.sanctioned_domains
          - it had already fired for corp\jdoe
            in 2026-03

        What the rule is about
        A process that has never run for this
        user from a temporary directory is often
        a dropper.

        What to look at next
          - Look at where the file came from.
          - Ask the user.

        Known false positives
          - Installers and updaters.

        References
          T1071.001
            https://attack.mitre.org/techniques/
            T1071/001/
          T1567.002
            https://attack.mitre.org/techniques/
            T1567/002/
          see           https://example.org/rule
          after a rule by
            A. Author
          licence       DRL-1.1

        Alert
          id
            00000002000000000000000000abcdef
          once in       2026-03
          came again    once
          detected      2026-03-14 09:14:02 UTC
          rule revision 2
          sink file     delivered
          sink syslog   waiting

        (running agent, pid 812, epoch 70)
    "#]]
    .assert_eq(&show("00000002", 40, None));
}

#[test]
fn a_sum_is_explained() {
    expect![[r#"
        R-SUM  A lot of data
        score 30 (high), user corp\jdoe, peer group finance, 2026-03-14 09:15:01 UTC

        What happened
        corp\jdoe visited a site
          - Uploads to 3 domains.
          time              2026-03-14T09:15:01.000Z
          event             web-activity-allowed
          method            PUT
          read from         /var/spool/dtex/a.log, line 10233, byte 6700231

        Why it is unusual
        With this event the user corp\jdoe came to 21.5 MB (21500000 bytes) of bytes_out in one day; the
        rule speaks from 20.0 MB (20000000 bytes) on.
        On no earlier day has this user had an event of this kind: it has no habits to compare with.

        It would not have fired if
          - the day's sum of bytes_out had stayed below 20000000; it came to 21500000
          - corp\jdoe had had one earlier day with such events; there was none
          - it had already fired for corp\jdoe on 2026-03-14

        What the rule is about
        A process that has never run for this user from a temporary directory is often a dropper.

        What to look at next
          - Look at where the file came from.
          - Ask the user.

        Known false positives
          - Installers and updaters.

        References
          T1030             https://attack.mitre.org/techniques/T1030/
          see               https://example.org/rule
          after a rule by   A. Author
          licence           DRL-1.1

        Alert
          id                00000003000000000000000000abcdef
          once in           2026-03-14
          came again        2 times
          detected          2026-03-14 09:15:02 UTC
          rule revision     2
          sink file         delivered
          sink syslog       waiting

        (running agent, pid 812, epoch 70)
    "#]]
    .assert_eq(&show("00000003", 100, None));
}

#[test]
fn a_hostile_alert_of_an_unknown_rule_is_shown_all_the_same() {
    expect![[r#"
        R-GONE  A rule that content no longer has
        score 40 (critical), user corp\jdoe, peer group finance, 2026-03-14 09:16:01 UTC

        What happened
        corp\jdoe ran this: =1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, "x"\r\n\x9b31m
          time              2026-03-14T09:16:01.000Z
          event             process-created
          command_line      =1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, "x"\r\n\x9b31m
          read from         /var/spool/dtex/a.log, line 10233, byte 6700231

        Why it is unusual
        No baseline is asked here: the rule speaks of any user that does this. Its
        score, 40 (critical), says how unusual that is by itself.

        The rule's condition, as it was met
          image             plink  (equals plink)
          command_line      =1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, "x"\r\n\x9b31m
                            (contains \x1bx)

        It would not have fired if
          - one of the 2 conditions above had not been met
          - it had already fired for corp\jdoe and
            =1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, "x"\r\n\x9b31m on 2026-03-14

        What to look at next
        This agentctl's content does not have the rule, so it has no advice: pass the
        agent's own --config.

        References
          T1020             https://attack.mitre.org/techniques/T1020/

        Alert
          id                00000004000000000000000000abcdef
          per               =1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, "x"\r\n\x9b31m
          once in           2026-03-14
          came again        3 times
          detected          2026-03-14 09:16:02 UTC
          rule revision     2
          suppressed        yes: kept here, not delivered
          sink file         delivered
          sink syslog       waiting

        (running agent, pid 812, epoch 70)
    "#]]
    .assert_eq(&show("00000004", 80, None));
}

#[test]
fn json_of_an_alert_has_what_sinks_write_and_what_only_the_agent_knows() {
    let value: serde_json::Value = serde_json::from_str(&show("00000001", 0, Some(Format::Json))).unwrap();
    assert_eq!(value["rule"]["id"], "R-FIRST");
    assert_eq!(value["event"]["file_path"], "D:\\out\\plan.zip");
    assert_eq!(value["evidence"]["model"]["top_bins"][1]["count"], 10);
    assert_eq!(value["deliveries"][1]["state"], "waiting");
    assert_eq!(value["triage"][1], "Ask the user.");
    assert!(value["would_not_have_fired_if"][0].as_str().unwrap().contains("d:\\temp\\new.exe had been counted"));
    assert!(value.get("agent").is_none());
}

#[test]
fn csv_of_an_alert_is_names_and_values() {
    let text = show("00000003", 0, Some(Format::Csv));
    assert!(text.starts_with("name,value\nid,00000003"), "{text}");
    assert!(text.contains("\nevidence.sum.total,21500000\n"), "{text}");
}

#[test]
fn ids_that_name_nothing_or_too_much_are_told_apart_from_nonsense() {
    for (line, code) in
        [("alerts show ffff", 3), ("alerts show 0000", 3), ("alerts show xyz1", 2), ("alerts show 00", 2)]
    {
        assert_eq!(try_agentctl(line, 80).0.unwrap_err().exit_code(), code, "{line}");
    }
}

/// What `alerts follow` writes until it has paused so often.
fn follow(line: &str, pauses: usize) -> String {
    let cli = Cli::try_parse_from(format!("agentctl alerts follow {line}").split_whitespace()).unwrap();
    let Asked::Alerts(AlertsCommand::Follow(arguments)) = &cli.command else { panic!("{line}") };
    let mut left = pauses;
    let mut pause = || {
        left -= 1;
        left > 0
    };
    let (done, text) =
        render(0, cli.format, |output| alerts_follow::run(arguments, &mut Sample::default(), output, &mut pause));
    done.unwrap();
    text
}

#[test]
fn following_begins_with_the_newest_and_writes_lines_that_stay() {
    expect![[r#"
        id          time (UTC)           score  rule                      entity                    value
        0000000100  2026-03-14 09:13:01  10     R-FIRST                   user corp\jdoe            d:\temp\new.exe
        0000000200  2026-03-14 09:14:01  8      R-TOP                     user corp\jdoe
        0000000300  2026-03-14 09:15:01  30     R-SUM                     user corp\jdoe
        0000000400  2026-03-14 09:16:01  40     R-GONE                    user corp\jdoe            =1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, "x"\r\n\x9b31m
    "#]].assert_eq(&follow("", 2));
    expect![[r#"
        seq,id,time,kind,rule,score,severity,entity_kind,entity,value,repeats,suppressed
        4,00000004000000000000000000abcdef,2026-03-14T09:16:01.000Z,detection,R-GONE,40,critical,user,corp\jdoe,"'=1\x1b]0;owned\x07\x1b[2J\u{202e}exe.fdp, ""x""\r\n\x9b31m",3,true
    "#]].assert_eq(&follow("--limit 1 --format csv --min-score 30", 1));
    assert_eq!(follow("--limit 0", 1).lines().count(), 1);
}
