//! What patches change, what exceptions mean, and how both are refused.

use super::*;
use crate::config::DetectionSettings;
use crate::content;
use std::fs;
use std::path::Path;

/// Loads shipped content with these files of a site on top.
fn load(files: &[(&str, &str)]) -> Result<Content, Faults> {
    load_in(tempfile::tempdir().unwrap().path(), files)
}

fn load_in(dir: &Path, files: &[(&str, &str)]) -> Result<Content, Faults> {
    for (name, text) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let settings = DetectionSettings { content_dir: Some(dir.into()), ..DetectionSettings::default() };
    content::load(&settings)
}

fn good(text: &str) -> Content {
    load(&[("us.override.toml", text)]).unwrap_or_else(|f| panic!("{f}"))
}

fn short(fault: &Fault) -> String {
    let file = Path::new(&fault.file).file_name().unwrap().to_str().unwrap().to_owned();
    Fault { file, ..fault.clone() }.to_string()
}

/// Faults without the name of the temporary directory.
fn faults(files: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let faults = load_in(dir.path(), files).err().map(|f| f.0).unwrap_or_default();
    let text = faults.iter().map(short).collect::<Vec<_>>().join("\n");
    text.replace(&dir.path().display().to_string(), "DIR")
}

fn rule<'c>(content: &'c Content, id: &str) -> &'c Rule {
    content.rules.iter().find(|r| r.id == id).unwrap()
}

#[test]
fn patches_set_scores_thresholds_and_switches() {
    let content = good(
        r#"
[[override]]
rule = "WEB-FS"
reason = "Everybody does."
score = 1

[[override]]
rule = "Tap-Installer"
reason = "We roll out a VPN."
enabled = false

[[override]]
rule = "WEB-New-File-20"
reason = "We upload a lot."
reaches = 50_000_000
agent_days = 3

[[override]]
rule = "FA-TEMP-DIRECTORY-A"
reason = "Less of it."
percentile = 0.05
score = 3

[[override]]
rule = "WEB-OU-FS"
reason = "A small company."
min_bins = 5
min_count = 7
min_median_ratio = 2.5
top_share = 0.1

[[override]]
model = "FA-UP-TEMP"
reason = "Sooner."
alpha = 0.9
cut_off = 20
"#,
    );
    assert_eq!(rule(&content, "WEB-FS").score, 1);
    assert!(!rule(&content, "Tap-Installer").enabled && rule(&content, "WEB-FS").enabled);
    let verdict = |id| format!("{:?}", rule(&content, id).verdict);
    assert!(
        verdict("WEB-New-File-20").contains("reaches: 50000000")
            && verdict("WEB-New-File-20").contains("agent_days: 3")
    );
    assert!(verdict("FA-TEMP-DIRECTORY-A").contains("percentile: 0.05"));
    let top = "rank_days: 30, top_share: 0.1, min_bins: 5, min_count: 7, min_median_ratio: 2.5";
    assert!(verdict("WEB-OU-FS").contains(top), "{}", verdict("WEB-OU-FS"));
    let model = content.models.iter().find(|m| m.id == "FA-UP-TEMP").unwrap();
    assert_eq!((model.alpha, model.cut_off), (0.9, 20));
    let shipped = content::load(&DetectionSettings::default()).unwrap();
    let same = shipped.models.iter().find(|m| m.id == "FA-UP-TEMP").unwrap();
    assert_eq!(model.definition, same.definition, "thresholds are no other definition");
    let item = content.layers.item(Kind::Rule, "FA-TEMP-DIRECTORY-A").unwrap();
    assert!(
        item.origin().starts_with("shipped + ") && item.origin().ends_with("us.override.toml:18"),
        "{}",
        item.origin()
    );
    assert_eq!(item.patches[0].keys, ["score", "percentile"]);
    assert_eq!(item.patches[0].reason, "Less of it.");
}

#[test]
fn patches_of_tables_add_and_take_away_and_the_settings_have_the_last_word() {
    let text = r#"
[[override]]
table = "tunnel_tools_extended"
reason = "We want to know."
enabled = true
add = ["wstunnel", "ngrok"]
remove = ["gost", "no-such-tool"]
"#;
    let content = good(text);
    let has = |c: &Content, name: &str| c.tables.contains("tunnel_tools_extended", name.as_bytes()).unwrap();
    assert!(has(&content, "wstunnel") && has(&content, "chisel") && !has(&content, "gost"));
    let notes: Vec<String> = content.layers.notes.iter().map(short).filter(|n| !n.contains("based_on")).collect();
    let item = "override of table tunnel_tools_extended (us.override.toml";
    assert_eq!(
        notes,
        [
            format!("{item}:6): add: \"ngrok\" is in the table already; remove it here"),
            format!("{item}:7): remove: \"no-such-tool\" is not in the table; remove it here"),
        ]
    );
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("us.override.toml"), text).unwrap();
    let settings = DetectionSettings {
        content_dir: Some(dir.path().into()),
        tables: [("tunnel_tools_extended".to_owned(), false)].into(),
        ..DetectionSettings::default()
    };
    assert!(!has(&content::load(&settings).unwrap(), "wstunnel"));
    let bad =
        "[[override]]\ntable = \"sanctioned_domains\"\nreason = \"r\"\nadd = [\"files.example.com\", \"https://x/\"]\n";
    let faults = faults(&[("us.override.toml", bad)]);
    assert!(faults.starts_with("us.override.toml:4: ") && faults.contains("https://x/"), "{faults}");
}

#[test]
fn what_a_patch_was_written_for_is_compared_with_what_is_shipped() {
    let now = Layers::shipped().item(Kind::Rule, "WEB-FS").unwrap().shipped.clone().unwrap().to_string();
    let notes = |based_on: &str| {
        let text = format!("[[override]]\nrule = \"WEB-FS\"\nreason = \"r\"\nscore = 1\n{based_on}\n");
        good(&text).layers.notes.iter().map(short).collect::<Vec<_>>()
    };
    assert!(notes(&format!("based_on = \"{now}\"")).is_empty());
    assert!(notes("based_on = 1").is_empty());
    let other = notes("based_on = \"1 0123456789ab\"");
    assert!(other.len() == 1 && other[0].starts_with("override of rule WEB-FS (us.override.toml:5): was written for"));
    let none = notes("");
    assert!(none.len() == 1 && none[0].contains(&format!("write based_on = \"{now}\"")), "{none:?}");
}

#[test]
fn exceptions_are_told_of_when_they_have_ended_and_before_they_do() {
    let exception = |until: &str| {
        format!("[[exception]]\nid = \"x\"\nrule = \"WEB-FS\"\nuser = \"ann\"\nuntil = {until}\nreason = \"r\"\n")
    };
    let today = crate::calendar::parse_day("2026-06-15").unwrap();
    let told = |until: &str| ending(&good(&exception(until)), today).iter().map(short).collect::<Vec<_>>().join("\n");
    let say = |what: &str| format!("exception x (us.override.toml:1): {what}");
    assert_eq!(told("2026-06-14"), say("ended on 2026-06-14: it silences nothing after that day; remove or renew it"));
    assert_eq!(told("2026-06-15"), say("ends today"));
    assert_eq!(told("2026-06-16"), say("ends on 2026-06-16, in 1 day"));
    assert_eq!(told("\"2026-06-29\""), say("ends on 2026-06-29, in 14 days"));
    assert_eq!(told("2026-06-30"), "");
}

#[test]
fn every_fault_of_patches_and_exceptions_names_its_line_and_what_to_write() {
    let text = r#"colour = 1
[[override]]
rule = "WEB-SF"
score = 1
[[override]]
rule = "WEB-FS"
scor = 1
reason = " "
[[override]]
rule = "WEB-FS"
reason = "r"
score = 101
reaches = 5
enabled = "no"
[[override]]
parser = "s-dtex"
reason = "r"
[[override]]
rule = "WEB-FS"
model = "FA-UP-TEMP"
reason = "r"
[[override]]
model = "FA-UP-TMP"
reason = "r"
alpha = 0
[[override]]
model = "FA-UP-TEMP"
reason = "r"
scope = "host"
[[override]]
table = "sanctioned_domain"
reason = "r"
add = "x.example"
[[override]]
table = "sanctioned_domains"
reason = "r"
add = []
remove = ['# x']
[[override]]
rule = "WEB-OU-FS"
reason = "r"
based_on = "latest"
rank_days = 3
"#;
    let exceptions = r#"[[exception]]
rule = "WEB-FS"
user = "*"
until = "soon"
[[exception]]
id = "a"
rule = ["WEB-SF", "WEB-FS"]
domain = "https://x.example/"
host = 'corp\ws1'
usr = "x"
reason = "r"
[[exception]]
id = "a"
rule = "*"
until = 2026-12-31
reason = "r"
[[exception]]
id = "b"
rule = "WEB-FS"
reason = "r"
[[exception]]
id = "c"
user = ["ann"]
process = []
reason = ""
"#;
    expect_test::expect![[r##"
        a.override.toml:1: unknown key "colour"; one of: override, exception
        override of rule WEB-SF (a.override.toml:2): reason is missing
        override of rule WEB-SF (a.override.toml:2): there is no rule "WEB-SF"; did you mean "WEB-FS"?
        override of rule WEB-FS (a.override.toml:7): unknown key "scor"; did you mean "score"?
        override of rule WEB-FS (a.override.toml:8): reason is empty; say why, and who may be asked
        override of rule WEB-FS (a.override.toml:12): score is 101; write a number up to 100
        override of rule WEB-FS (a.override.toml:13): the rule has no reaches; it has enabled, score
        override of rule WEB-FS (a.override.toml:14): enabled is a string; write true or false
        override (a.override.toml:15): an override names one rule, model or table: rule = "…", model = "…" or table = "…"; a parser or field map is replaced by a file with its id
        override (a.override.toml:18): an override names one rule, model or table: rule = "…", model = "…" or table = "…"; a parser or field map is replaced by a file with its id
        override of model FA-UP-TMP (a.override.toml:22): there is no model "FA-UP-TMP"; did you mean "FA-UP-TEMP"?
        override of model FA-UP-TMP (a.override.toml:25): alpha is 0; write a number above 0
        override of model FA-UP-TEMP (a.override.toml:29): unknown key "scope"; one of: alpha, cut_off, based_on, reason
        override of table sanctioned_domain (a.override.toml:30): there is no table "sanctioned_domain"; did you mean "sanctioned_domains"?
        override of table sanctioned_domains (a.override.toml:37): add is empty
        override of table sanctioned_domains (a.override.toml:38): remove holds "# x", which is no entry
        override of rule WEB-OU-FS (a.override.toml:42): based_on names no version; write the revision and the digest that `agentctl content check` shows
        exception ? (b.override.toml:1): id is missing
        exception ? (b.override.toml:1): reason is missing
        exception ? (b.override.toml:3): user: "*" is everything; leave the key out
        exception ? (b.override.toml:4): until is "soon"; write a date such as 2026-12-31
        exception a (b.override.toml:5): there is no rule "WEB-SF"; did you mean "WEB-FS"?
        exception a (b.override.toml:8): domain: "https://x.example/" is no domain; write the name alone: "files.example.com"
        exception a (b.override.toml:9): host: "corp\\ws1" has a separator; write the host's name alone, without its domain
        exception a (b.override.toml:10): unknown key "usr"; did you mean "user"?
        exception a (b.override.toml:12): is for everything; name a user, host, process or domain, or say until when one rule is silent
        exception a (b.override.toml:12): this id is in DIR/rules/b.override.toml:5 already
        exception b (b.override.toml:17): is for everything; name a user, host, process or domain, or say until when one rule is silent
        exception c (b.override.toml:21): rule is missing; name a rule, a list of rules, or "*" for all
        exception c (b.override.toml:24): process names nothing; leave the key out
        exception c (b.override.toml:25): reason is empty; say why, and who may be asked"##]]
    .assert_eq(&faults(&[("a.override.toml", text), ("rules/b.override.toml", exceptions)]));
}
