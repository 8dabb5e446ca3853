//! `rules list` and `rules show`.

use super::sample::{Sample, desk};
use super::{agentctl, render};
use crate::ctl::output::Format;
use crate::ctl::rules_show::{Arguments, run};
use crate::ctl::view::{View, ViewError};
use clap::{Args, Command, FromArgMatches};
use expect_test::expect;

fn show(
    id: &str,
    width: usize,
    format: Option<Format>,
    view: Result<Box<dyn View>, ViewError>,
) -> (Result<(), ViewError>, String) {
    let command = Arguments::augment_args(Command::new("show"));
    let arguments = Arguments::from_arg_matches(&command.get_matches_from(["show", id])).unwrap();
    render(width, format, |output| run(&arguments, view, &desk(), output))
}

#[test]
fn a_list_says_which_rules_can_never_fire() {
    expect![[r#"
        id       score  att&ck               events                alerts  silenced  state            origin
        ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
        R-FIRST     10  T1204                file-write                 1         0  enabled          shipped
        R-TOP        8  T1071.001 T1567.002  web-activity-allowed       2         0  enabled          shipped
        R-SUM       30  T1030                web-activity-allowed       0         3  inert: no event  shipped + us.ov
                                                                                     has carried      erride.toml:3
                                                                                     bytes_out
        R-OFF       40                       process-created            0         0  disabled         shipped

        (running agent, pid 812, epoch 70)
    "#]]
    .assert_eq(&agentctl("rules list", 110));
}

#[test]
fn a_list_for_spreadsheets_joins_techniques() {
    expect![[r#"
        id,name,attack,score,events,enabled,inert,alerts,silenced,file,origin
        R-FIRST,"First time of a process",T1204,10,file-write,true,,1,0,rules/r-first.toml,shipped
        R-TOP,"One of the top users",T1071.001;T1567.002,8,web-activity-allowed,true,,2,0,rules/r-top.toml,shipped
        R-SUM,"A lot of data",T1030,30,web-activity-allowed,true,"no event has carried bytes_out",0,3,rules/r-sum.toml,"shipped + us.override.toml:3"
        R-OFF,"Switched off",,40,process-created,false,,0,0,rules/r-off.toml,shipped
    "#]]
    .assert_eq(&agentctl("rules list --format csv", 0));
}

#[test]
fn a_rule_is_shown_with_what_it_asks_for() {
    expect![[r#"
        R-SUM  A lot of data
        A process that has never run for this user from a temporary directory is often a dropper.

        Rule
          score             30 (high)
          events            web-activity-allowed
          fires once per    user, process_key, day
          file              rules/r-sum.toml, revision 2
          state             inert: no event has carried bytes_out
          alerts kept       0

        Fires when
          - a web-activity-allowed event meets the conditions in rules/r-sum.toml
          - the day's sum of bytes_out reaches 20000000
          - the user has no earlier day with web-activity-allowed events, and the agent itself has
            seen 14 such days
          - it has not fired on this day for the same user and process_key

        When it is common
          - M-USER has counted the value 5 times in 14 days: the next alert stands for those of
            the 14 days after it
          - it has fired about the same user and process_key on 3 of 30 days: the score is 5
            instead of 30

        Does not find
          - A renamed program.

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

        (running agent, pid 812, epoch 70)
    "#]]
    .assert_eq(&show("r-sum", 90, None, Ok(Box::new(Sample::default()))).1);
}

#[test]
fn without_an_agent_the_content_still_tells_the_rest() {
    let nobody = Err(ViewError::Unreachable("no agent answers".into()));
    expect![[r#"
        R-TOP  One of the top users
        A process that has never run for this
        user from a temporary directory is often
        a dropper.

        Rule
          score         8 (low)
          events        web-activity-allowed
          fires once per
            user, month
          file
            rules/r-top.toml, revision 2
          state         enabled
        Whether it can fire, and its alerts, are
        not known: no agent answers

        Fires when
          - a web-activity-allowed event meets
            the conditions in rules/r-top.toml
          - in M-ORG over 30 days, the value is
            among the top 5 % by count
          - its count is at least 10 and at
            least 3 times the median, among at
            least 10 values of the organisation
          - the model has converged (N from 30,
            confidence from 0.8)
          - it has not fired in this calendar
            month for the same user

        Does not find
          - A renamed program.

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
    "#]]
    .assert_eq(&show("R-TOP", 40, None, nobody).1);
}

#[test]
fn a_damaged_state_is_not_taken_for_an_absent_agent() {
    let damaged = Err(ViewError::Corrupt("damaged".into()));
    assert_eq!(show("R-TOP", 40, None, damaged).0.unwrap_err().exit_code(), 4);
}

#[test]
fn a_near_miss_is_suggested() {
    let error = show("R-FIRTS", 80, None, Ok(Box::new(Sample::default()))).0.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("did you mean \"R-FIRST\"?"), "{error}");
}

#[test]
fn a_program_gets_what_the_page_says() {
    let text = show("R-FIRST", 0, Some(Format::Json), Ok(Box::new(Sample::default()))).1;
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["alerts"], 1);
    assert_eq!(value["per"], "process_key");
    assert_eq!(value["fires_when"].as_array().unwrap().len(), 4);
}

#[test]
fn what_is_left_of_an_exception_that_is_gone_is_told() {
    expect![[r#"
        exception  for  until  state               rule   silenced    last day  last about  reason
        ───────────────────────────────────────────────────────────────────────────────────────────
        backup                 not in the content  R-SUM         3  2026-03-01  corp\jdoe

        (running agent, pid 812, epoch 70)
    "#]]
    .assert_eq(&agentctl("content exceptions", 120));
    expect![[r#"
        exception,rules,subject,until,state,rule,silenced,last_day,last_entity,reason,place
        backup,,,,"not in the content",R-SUM,3,2026-03-01,corp\jdoe,,
    "#]]
    .assert_eq(&agentctl("content exceptions --format csv", 0));
}
