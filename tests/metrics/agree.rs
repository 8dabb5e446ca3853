//! What the metrics say is what `agentctl` says, and the same in every way they can be had; `agentctl` itself does not read the
//! whole state of a running agent.

use super::{GET, Watched, by, outline, samples, value};
use crate::site::{Site, wait};
use exfil_agent::metrics::METRICS;
use expect_test::expect_file;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const EVENT: &str = "CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCreated|C:\\d\\a.txt (10 bytes)|3|start=1775000000000 \
                     Device_Name=WS1 User_Name=CORP\\user1 Process_Name=a.exe Process_Directory=C:\\d\n";

fn json(site: &Site, words: &[&str]) -> Value {
    let out = site.ctl(words);
    serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|e| panic!("{words:?}: {e}: {}", String::from_utf8_lossy(&out.stderr)))
}

fn counts(object: &Value) -> BTreeMap<String, u64> {
    object.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.as_u64().unwrap())).collect()
}

fn without_zeros(mut counts: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    counts.retain(|_, n| *n > 0);
    counts
}

/// Where a page and a status differ, in words.
fn differences(page: &str, status: &Value, stats: &Value) -> String {
    let mut out = String::new();
    let mut same = |what: &str, metric: BTreeMap<String, u64>, other: BTreeMap<String, u64>| {
        if metric != other {
            writeln!(out, "{what}: metrics {metric:?}, agentctl {other:?}").unwrap();
        }
    };
    let one = |name: &str, n: u64| BTreeMap::from([(name.to_owned(), n)]);
    let total = |metric: &str, label: &str| by(page, metric, label).values().sum::<u64>();
    for (metric, field) in [
        ("exfil_agent_events_total", "events"),
        ("exfil_agent_rejects_total", "rejects"),
        ("exfil_agent_oddities_total", "oddities"),
    ] {
        let label = match field {
            "events" => "type",
            "rejects" => "reason",
            _ => "oddity",
        };
        same(field, without_zeros(by(page, metric, label)), counts(&status[field]));
    }
    let events = total("exfil_agent_parsed_events_total", "parser");
    same("parsed", one("", events), one("", counts(&status["events"]).values().sum()));
    for (metric, label, field) in [
        ("exfil_agent_records_total", "spool", "records"),
        ("exfil_agent_read_bytes_total", "spool", "bytes"),
        ("exfil_agent_alerts_total", "rule", "alerts"),
        ("exfil_agent_alerts_suppressed_total", "rule", "suppressed"),
        ("exfil_agent_silenced_alerts_total", "rule", "silenced"),
    ] {
        same(field, one("", total(metric, label)), one("", status[field].as_u64().unwrap()));
    }
    same("limits", by(page, "exfil_agent_limit_reached_total", "limit"), counts(&status["limits"]));
    let inert = without_zeros(by(page, "exfil_agent_rule_inert", "rule")).into_keys().collect::<BTreeSet<_>>();
    let said: BTreeSet<String> =
        status["inert"].as_array().unwrap().iter().map(|r| r["rule"].as_str().unwrap().to_owned()).collect();
    same("inert", inert.into_iter().map(|r| (r, 1)).collect(), said.into_iter().map(|r| (r, 1)).collect());
    for (metric, field) in [
        ("exfil_agent_sink_delivered_total", "delivered"),
        ("exfil_agent_sink_below_min_score_total", "below_min_score"),
        ("exfil_agent_sink_suppressed_total", "suppressed"),
        ("exfil_agent_sink_queue_length", "queued"),
        ("exfil_agent_sink_failures_total", "errors"),
    ] {
        let rows = status["sinks"].as_array().unwrap().iter();
        let said = rows.map(|s| (s["name"].as_str().unwrap().to_owned(), s[field].as_u64().unwrap())).collect();
        same(metric, by(page, metric, "sink"), said);
    }
    for m in status["models"].as_array().unwrap() {
        let model = m["model"].as_str().unwrap();
        for stage in ["learning", "converged"] {
            let sample = format!("exfil_agent_model_instances{{model=\"{model}\",stage=\"{stage}\"}}");
            same(&sample, one("", value(page, &sample) as u64), one("", m[stage].as_u64().unwrap()));
        }
        let sample = format!("exfil_agent_model_saturated_instances{{model=\"{model}\"}}");
        same(&sample, one("", value(page, &sample) as u64), one("", m["saturated"].as_u64().unwrap()));
    }
    let of_stats = ["users", "hosts", "groups"].map(|k| stats[k].as_u64().unwrap());
    let kinds = by(page, "exfil_agent_entities", "kind");
    same("entities", kinds.clone(), ["user", "host", "group"].map(str::to_owned).into_iter().zip(of_stats).collect());
    let held = by(page, "exfil_agent_entities_held", "place");
    same("held", one("", held["memory"] + held["store"]), one("", kinds["user"] + kinds["host"]));
    same("away", one("", held["store"]), one("", status["memory"]["away"].as_u64().unwrap()));
    same("guards", one("", value(page, "exfil_agent_guards") as u64), one("", stats["guards"].as_u64().unwrap()));
    same(
        "files",
        one("", total("exfil_agent_files", "state")),
        one("", status["files"].as_array().unwrap().len() as u64),
    );
    same(
        "lag",
        one("", total("exfil_agent_read_lag_bytes", "spool")),
        one("", status["lag"]["bytes"].as_u64().unwrap()),
    );
    let snapshots = stats["snapshots"].as_u64().unwrap();
    same("snapshots", one("", value(page, "exfil_agent_snapshots") as u64), one("", snapshots));
    let commits = value(page, "exfil_agent_commit_duration_seconds_count");
    same("commits", one("", u64::from(commits > 0.0)), one("", 1));
    out
}

#[test]
fn the_figures_are_those_of_agentctl_in_whatever_way_they_are_asked_for() {
    let watched = Watched::new();
    let site = &watched.site;
    let content = site.root().join("content");
    fs::create_dir(&content).unwrap();
    let exception = "[[exception]]\nid = \"x\"\nrule = \"Exfil-Tunnel-Tools-Exec\"\nuser = \"user0\"\nreason = \"r\"\n";
    fs::write(content.join("us.override.toml"), exception).unwrap();
    let sigma = site.root().join("sigma");
    fs::create_dir(&sigma).unwrap();
    for (name, image) in [("heard", "plink"), ("silent", "nothing-has-this-name")] {
        let detection = format!("detection:\n  one:\n    Image|endswith: '\\{image}.exe'\n  condition: one\n");
        let head = format!("title: {name}\nlogsource:\n  category: process_creation\n  product: windows\nlevel: low\n");
        fs::write(sigma.join(format!("{name}-rule.yml")), head + &detection).unwrap();
    }
    site.configure(&format!("[detection]\ncontent_dir = {content:?}\n[sigma]\ndirs = [{sigma:?}]\n"));
    let daemon = watched.with_office(900);
    fs::write(site.spool("b.cef"), "not an event\n").unwrap();
    wait("the rules to be reported", || site.log().matches("has not been able to fire").count() >= 4);
    let mut differ = String::new();
    wait("metrics and agentctl to say the same", || {
        // The page is up to a second old.
        let (status, stats) = (json(site, &["status"]), json(site, &["state", "stats"]));
        differ = differences(&watched.page(), &status, &stats);
        let settled = differ.is_empty();
        if !settled {
            eprintln!("{differ}");
        }
        settled
    });
    let page = watched.page();
    assert_eq!(value(&page, "exfil_agent_read_lag_seconds"), 0.0);
    assert!(value(&page, "exfil_agent_silenced_alerts_total{rule=\"Exfil-Tunnel-Tools-Exec\"}") > 0.0, "{page}");
    // A Sigma rule has series once it has alerted, and none before.
    assert!(value(&page, "exfil_agent_alerts_total{rule=\"heard-rule\",kind=\"detection\"}") > 0.0, "{page}");
    assert!(!page.contains("silent-rule") && page.contains("exfil_agent_rules{state=\"enabled\"} 22\n"), "{page}");
    assert!(value(&page, "exfil_agent_alerts_total{rule=\"rule-inert\",kind=\"operational\"}") >= 4.0, "{page}");

    let answer = watched.ask_port(GET);
    let (head, over_port) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}", over_port.len())), "{head}");
    let names = |page: &str| samples(page).into_keys().collect::<Vec<_>>();
    assert_eq!(names(over_port), names(&page));
    wait("the file", || names(&fs::read_to_string(watched.file()).unwrap()) == names(&page));
    assert_eq!(fs::metadata(watched.file()).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::metadata(watched.socket()).unwrap().permissions().mode() & 0o777, 0o660);
    for name in ["user1", "ws1", "a.cef"] {
        assert!(!page.to_lowercase().contains(name), "{name} is in the metrics");
    }

    // Bytes that wait are seen: the head of a record without its end.
    let half = "CEF:0|Dtex|";
    fs::write(site.spool("b.cef"), format!("not an event\n{half}")).unwrap();
    wait("the half record", || {
        by(&watched.page(), "exfil_agent_read_lag_bytes", "spool").values().sum::<u64>() == half.len() as u64
    });
    assert!(value(&watched.page(), "exfil_agent_read_lag_seconds") > 0.0);
    assert_eq!(json(site, &["status"])["lag"]["bytes"], half.len());

    assert_eq!(daemon.terminate(), 0);
    assert!(!watched.socket().exists() && !watched.file().exists(), "an agent that does not run has no figures");
}

/// Names, types, labels and help are what dashboards and alert rules stand on: a change of one is a decision.
#[test]
fn what_is_exposed_is_what_was_exposed_before() {
    let watched = Watched::new();
    // The first life leaves a snapshot; the second reads something, too.
    assert_eq!(watched.with_office(900).terminate(), 0);
    let daemon = watched.start();
    fs::copy(watched.site.spool("a.cef"), watched.site.spool("b.cef")).unwrap();
    OpenOptions::new().append(true).open(watched.site.spool("b.cef")).unwrap().write_all(EVENT.as_bytes()).unwrap();
    let mut page = String::new();
    wait("every metric to have a sample", || {
        page = watched.page();
        METRICS.iter().all(|m| page.contains(&format!("# TYPE {} ", m.name)))
    });
    let mut all: Vec<String> = Vec::new();
    for line in page.lines().filter(|l| l.starts_with("# HELP ")) {
        let name = line.split(' ').nth(2).unwrap();
        let is_own = |l: &&String| {
            let of = l.trim_start_matches("# HELP ").trim_start_matches("# TYPE ");
            let of = of.split([' ', '{']).next().unwrap();
            of == name || ["_bucket", "_sum", "_count"].iter().any(|end| of.strip_suffix(end) == Some(name))
        };
        all.extend(outline(&page).iter().filter(is_own).cloned());
    }
    assert_eq!(all.len(), outline(&page).len(), "every line belongs to a metric");
    expect_file!["exposition.txt"].assert_eq(&(all.join("\n") + "\n"));
    assert_eq!(daemon.terminate(), 0);
}

/// A state that grew under every bound: users who left memory, instances that lost values, alerts that were held back.
#[test]
fn a_running_agents_status_is_what_a_walk_through_its_state_finds() {
    let site = Site::new();
    site.configure(
        "[limits]\nmax_resident_bytes = 0\nmax_bins = 2\nmax_entities = 60\nmax_instances = 50\nmax_alerts_per_day = 1\n",
    );
    fs::create_dir(site.root().join("spool")).unwrap();
    let start = 1_772_442_000_000i64;
    let mut text = String::new();
    for i in 0..6_000i64 {
        let (day, user) = (i / 200, i % 70 + (i % 7) * (i / 3000));
        let head =
            format!("start={} Device_Name=WS{} User_Name=CORP\\user{user}", start + day * 86_400_000 + i, user % 40);
        let line = match i % 4 {
            0 => format!("WebPageAccessed|x|3|{head} Website_Query=https://dropbox.com/{i} User_Department=Sales"),
            1 => {
                format!("ProcessCreated|Running C:\\t\\plink.exe|5|{head} reason=plink.exe -ssh u@h{i} outcome=Success")
            }
            _ => format!(
                "FileCreated|C:\\d\\a.txt (10 bytes)|3|{head} Process_Name=p{}.exe Process_Directory=C:\\Users\\u\\Temp",
                if user % 2 == 0 { day % 3 } else { 0 }
            ),
        };
        writeln!(text, "CEF:0|Dtex|DTEX InTERCEPT|6.0|{line}").unwrap();
    }
    for (i, domain) in (0..).zip(["dropbox.com", "mega.nz", "gofile.io"]) {
        let ms = start + 29 * 86_400_000 + 9_000 + i;
        writeln!(text, "CEF:0|Dtex|DTEX InTERCEPT|6.0|WebPageAccessed|x|3|start={ms} Device_Name=WS0 User_Name=CORP\\user0 Website_Query=https://{domain}/").unwrap();
    }
    fs::write(site.spool("a.cef"), &text).unwrap();
    let daemon = site.start();
    site.wait_for_bytes(text.len() as u64);
    let figures = |status: &Value| -> Vec<String> {
        let fields = ["models", "alerts", "suppressed", "events", "inert", "limits", "records"];
        let mut out: Vec<String> = fields.iter().map(|f| format!("{f}: {}", status[f])).collect();
        for sink in status["sinks"].as_array().unwrap() {
            out.extend(["delivered", "below_min_score", "suppressed", "queued"].map(|f| format!("{f} {}", sink[f])));
        }
        out.extend(
            status["warnings"].as_array().unwrap().iter().map(|w| w.to_string()).filter(|w| !w.contains("kernel")),
        );
        out
    };
    // Who is durable leaves memory when a batch has been judged.
    let mut more = OpenOptions::new().create(true).append(true).open(site.spool("b.cef")).unwrap();
    wait("somebody to leave memory", || {
        more.write_all(b"not an event\n").unwrap();
        json(&site, &["status"])["memory"]["away"].as_u64().unwrap() > 0
    });
    let all = text.len() as u64 + more.metadata().unwrap().len();
    let mut live = Value::Null;
    wait("all alerts", || {
        live = json(&site, &["status"]);
        // Four rules that cannot fire and three limits are reported, each once.
        let reported = fs::read_to_string(site.root().join("alerts.jsonl")).unwrap_or_default();
        let reported = reported.matches("\"kind\":\"operational\"").count();
        let (delivered, suppressed) = (live["sinks"][0]["delivered"].as_u64(), live["suppressed"].as_u64());
        let is_done = live["bytes"] == all && live["sinks"][0]["queued"] == 0 && reported >= 7;
        is_done
            && delivered.zip(suppressed).map(|(d, s)| d + s) == live["alerts"].as_u64()
            && delivered >= Some(site.alert_lines())
    });
    assert_eq!(daemon.terminate(), 0);
    let stopped = json(&site, &["status"]);
    assert_eq!(figures(&live), figures(&stopped));
    let sum = |field: &str| live["models"].as_array().unwrap().iter().map(|m| m[field].as_u64().unwrap()).sum::<u64>();
    assert!(sum("converged") > 0 && sum("learning") > 0 && sum("saturated") > 0, "{}", live["models"]);
    assert!(
        live["suppressed"].as_u64().unwrap() > 0 && live["warnings"].to_string().contains("users met dropbox.com"),
        "{live}"
    );
    assert!(
        live["limits"]["max_instances"].as_u64().unwrap() > 0 && live["limits"]["max_entities"].as_u64().unwrap() > 0
    );

    // The counts of a restored state are those of the one that grew.
    let daemon = site.start();
    // Until it listens, agentctl looks into the stopped state.
    wait("the agent to answer", || UnixStream::connect(site.root().join("control.sock")).is_ok());
    assert_eq!(figures(&json(&site, &["status"])), figures(&stopped));
    assert_eq!(daemon.terminate(), 0);
}

/// Passes questions on to the agent and counts those that read users, hosts, models, guards or alerts. Definitions of models and
/// what exceptions silenced are as few as the content has.
fn eavesdrop(between: &std::path::Path, agent: std::path::PathBuf) -> (Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>) {
    let listener = UnixListener::bind(between).unwrap();
    let (all, walks) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let (counted, noted) = (Arc::clone(&all), Arc::clone(&walks));
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = UnixStream::connect(&agent).unwrap();
            let (mut requests, mut answers) =
                (BufReader::new(client.try_clone().unwrap()), BufReader::new(server.try_clone().unwrap()));
            let (mut line, mut client, mut server) = (String::new(), client, server);
            while requests.read_line(&mut line).is_ok_and(|n| n > 0) {
                counted.fetch_add(1, Ordering::SeqCst);
                let request: Value = serde_json::from_str(&line).unwrap();
                if request["ask"] == "scan"
                    && !["61", "66", "6b", "6d", "78"]
                        .iter()
                        .any(|p| request["prefix"].as_str().unwrap().starts_with(p))
                {
                    noted.lock().unwrap().push(line.clone());
                }
                server.write_all(line.as_bytes()).unwrap();
                let mut answer = String::new();
                answers.read_line(&mut answer).unwrap();
                if client.write_all(answer.as_bytes()).is_err() {
                    break;
                }
                line.clear();
            }
        }
    });
    (all, walks)
}

#[test]
fn status_of_a_running_agent_reads_no_more_than_its_files_and_counters() {
    let watched = Watched::new();
    let daemon = watched.with_office(900);
    let site = &watched.site;
    let between = site.root().join("between.sock");
    let (all, walks) = eavesdrop(&between, site.root().join("control.sock"));
    let config = fs::read_to_string(site.config()).unwrap().replace("control.sock", "between.sock");
    let other = site.root().join("other.toml");
    fs::write(&other, config).unwrap();
    let ask = |words: &[&str]| {
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_agentctl"))
            .arg("--config")
            .arg(&other)
            .args(words)
            .output()
            .unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    ask(&["status"]);
    assert_eq!(*walks.lock().unwrap(), Vec::<String>::new());
    assert!((3..20).contains(&all.load(Ordering::SeqCst)), "{all:?} questions");
    ask(&["state", "stats"]);
    assert!(!walks.lock().unwrap().is_empty(), "what reads everything is noticed");
    assert_eq!(daemon.terminate(), 0);
}
