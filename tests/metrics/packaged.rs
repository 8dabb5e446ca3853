//! What is shipped for Prometheus and Grafana names metrics that there are, and what the agent exposes is what Prometheus wants:
//! its own promtool says so.

use super::Watched;
use crate::skip::{command, skip};
use exfil_agent::metrics::{Kind, METRICS};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/metrics").join(name)
}

/// Every name that a file takes for one of our metrics.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|w| w.starts_with("exfil_agent_")).map(str::to_owned).collect()
}

#[test]
fn dashboard_and_alert_rules_name_metrics_that_there_are() {
    let exposed: BTreeSet<String> = METRICS
        .iter()
        .flat_map(|m| match m.kind {
            Kind::Histogram => {
                vec![format!("{}_bucket", m.name), format!("{}_sum", m.name), format!("{}_count", m.name)]
            }
            _ => vec![m.name.to_owned()],
        })
        .collect();
    for file in ["grafana-dashboard.json", "exfil-agent.rules.yml"] {
        let text = fs::read_to_string(shipped(file)).unwrap();
        let named = named(&text);
        assert!(named.len() > 5, "{file}: {named:?}");
        let unknown: Vec<&String> = named.difference(&exposed).collect();
        assert!(unknown.is_empty(), "{file} names what no agent exposes: {unknown:?}");
    }
    for entry in fs::read_dir(shipped("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(["grafana-dashboard.json", "exfil-agent.rules.yml"].contains(&name.as_str()), "nobody tests {name}");
    }
}

/// A counter that appears with its first event has no growth that Prometheus could see: each matter has one from the start.
#[test]
fn every_report_of_the_agent_on_itself_is_counted_from_the_start() {
    let mut reported = BTreeSet::new();
    let mut dirs = ["src/commands/run", "src/pipeline"].map(PathBuf::from).to_vec();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            for call in ["Alert::operational(", "Alert::operational_once(", " report("] {
                let first = |rest: &str| rest.trim_start().strip_prefix('"')?.split('"').next().map(str::to_owned);
                reported.extend(text.split(call).skip(1).filter_map(first));
            }
        }
    }
    let counted: BTreeSet<String> = exfil_agent::alert::MATTERS.iter().map(|m| (*m).to_owned()).collect();
    assert_eq!(reported, counted);
}

/// Title and expressions of each panel.
fn panels() -> Vec<(String, Vec<String>)> {
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(shipped("grafana-dashboard.json")).unwrap()).unwrap();
    let mut ids = BTreeSet::new();
    let panels = dashboard["panels"].as_array().unwrap().iter().map(|panel| {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{} has the id of another panel", panel["title"]);
        let at = |k: &str| panel["gridPos"][k].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{} hangs over the edge", panel["title"]);
        let targets = panel["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let exprs = targets.iter().map(|t| t["expr"].as_str().unwrap().to_owned());
        (panel["title"].as_str().unwrap().to_owned(), exprs.collect())
    });
    panels.collect()
}

fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let mut child = Command::new(command("promtool")?)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    Some((out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()))
}

#[test]
fn prometheus_accepts_what_the_agent_exposes() {
    if command("promtool").is_none() {
        return skip("prometheus_accepts_what_the_agent_exposes", "promtool is not installed");
    }
    let watched = Watched::new();
    let daemon = watched.with_office(900);
    let (page, file) = (watched.page(), fs::read_to_string(watched.file()).unwrap());
    assert_eq!(daemon.terminate(), 0);
    for page in [page, file] {
        let (good, said) = promtool(&["check", "metrics"], &page).unwrap();
        assert!(good && said.trim().is_empty(), "{said}");
    }
    let (good, said) = promtool(&["check", "metrics"], "a_total_b 1\nx{ 2\n").unwrap();
    assert!(!good, "promtool says nothing about anything: {said}");
}

#[test]
fn prometheus_accepts_the_alert_rules_and_what_the_dashboard_asks() {
    if command("promtool").is_none() {
        return skip("prometheus_accepts_the_alert_rules_and_what_the_dashboard_asks", "promtool is not installed");
    }
    let rules = shipped("exfil-agent.rules.yml");
    let (good, said) = promtool(&["check", "rules", rules.to_str().unwrap()], "").unwrap();
    assert!(good && said.contains("4 rules found"), "{said}");

    let dir = tempfile::tempdir().unwrap();
    let asked = dir.path().join("asked.yml");
    let mut text = "groups:\n- name: dashboard\n  rules:\n".to_owned();
    let mut exprs = 0;
    for (title, all) in panels() {
        for expr in all {
            exprs += 1;
            let expr = expr.replace("$__rate_interval", "5m");
            text += &format!("  - record: a:{exprs}\n    labels: {{panel: {title:?}}}\n    expr: {:?}\n", expr);
        }
    }
    assert!(exprs > 20, "{exprs} expressions");
    fs::write(&asked, text.replace("record: a:", "record: a:b")).unwrap();
    let (good, said) = promtool(&["check", "rules", asked.to_str().unwrap()], "").unwrap();
    assert!(good, "{said}");
}

/// The rules fire when they should and not before: played by promtool over made-up samples.
#[test]
fn the_alert_rules_fire_when_something_is_wrong_and_not_otherwise() {
    if command("promtool").is_none() {
        return skip("the_alert_rules_fire_when_something_is_wrong_and_not_otherwise", "promtool is not installed");
    }
    let dir = tempfile::tempdir().unwrap();
    let play = dir.path().join("play.yml");
    let at = |name: &str, labels: &str, values: &str| {
        format!("    - series: 'exfil_agent_{name}{{job=\"c\",instance=\"i\"{labels}}}'\n      values: '{values}'\n")
    };
    let alive = at("observed_timestamp_seconds", "", "0+60x120");
    let quiet = [
        alive.clone(),
        at("spool_available", ",spool=\"/s\"", "1x120"),
        at("commit_failing", "", "0x120"),
        at("sink_failing", ",sink=\"file\"", "0 0 1 0 0x116"),
        at("read_lag_seconds", "", "0x10 1000 3000 0x108"),
        at("read_lag_bytes", ",spool=\"/s\"", "5000000x120"),
        at("limit_reached_total", ",limit=\"max_guards\"", "7x120"),
        at("alerts_total", ",rule=\"state-recovered\",kind=\"operational\"", "0x120"),
        at("alerts_total", ",rule=\"R\",kind=\"detection\"", "3x120"),
    ]
    .concat();
    let case = |series: String, alert: &str, fires: &str| {
        format!(
            "- interval: 1m\n  input_series:\n{series}  promql_expr_test:\n  - expr: 'count by (alertname, severity) (ALERTS{{alertname=\"{alert}\",alertstate=\"firing\"}})'\n    eval_time: 90m\n    exp_samples:{}\n",
            if fires.is_empty() {
                " []".to_owned()
            } else {
                format!("\n    - labels: '{{alertname=\"{alert}\", severity=\"{fires}\"}}'\n      value: 1")
            }
        )
    };
    let down = "ExfilAgentDownOrNotReading";
    let text = [
        format!("rule_files: [{:?}]\nevaluation_interval: 1m\ntests:\n", shipped("exfil-agent.rules.yml")),
        case(quiet.clone(), down, ""),
        case(quiet.clone(), "ExfilAgentLagGrowing", ""),
        case(quiet.clone(), "ExfilAgentSinkFailing", ""),
        case(quiet.clone(), "ExfilAgentKnowledgeLost", ""),
        case(at("guards", "", "1x120"), down, "critical"),
        case(at("observed_timestamp_seconds", "", "0+60x60 3600x60"), down, "critical"),
        case([alive.clone(), at("spool_available", ",spool=\"/s\"", "0x120")].concat(), down, "critical"),
        case([alive.clone(), at("commit_failing", "", "0x60 1x60")].concat(), down, "critical"),
        case(
            [
                alive.clone(),
                at("read_lag_seconds", "", "0+60x120"),
                at("read_lag_bytes", ",spool=\"/s\"", "5000000x120"),
            ]
            .concat(),
            "ExfilAgentLagGrowing",
            "warning",
        ),
        case(
            [alive.clone(), at("read_lag_seconds", "", "0+60x120"), at("read_lag_bytes", ",spool=\"/s\"", "50x120")]
                .concat(),
            "ExfilAgentLagGrowing",
            "",
        ),
        case(
            [alive.clone(), at("sink_failing", ",sink=\"file\"", "0x60 1x60")].concat(),
            "ExfilAgentSinkFailing",
            "critical",
        ),
        case(
            [alive.clone(), at("alerts_total", ",rule=\"state-recovered\",kind=\"operational\"", "1x120")].concat(),
            "ExfilAgentKnowledgeLost",
            "warning",
        ),
        case(
            [alive.clone(), at("limit_reached_total", ",limit=\"max_guards\"", "7x60 9x60")].concat(),
            "ExfilAgentKnowledgeLost",
            "warning",
        ),
    ]
    .concat();
    fs::write(&play, &text).unwrap();
    let (good, said) = promtool(&["test", "rules", play.to_str().unwrap()], "").unwrap();
    assert!(good, "{said}\n{text}");
}
