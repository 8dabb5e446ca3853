//! What loading refuses and how it says so; the shipped content loads and passes its own tests.

use super::*;
use std::fs;
use std::path::Path;

fn load_with(write: &[(&str, &str)]) -> Result<Content, Faults> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in write {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let settings = DetectionSettings { content_dir: Some(dir.path().to_path_buf()), ..DetectionSettings::default() };
    load(&settings)
}

/// Faults without the name of the temporary directory.
fn faults_of(files: &[(&str, &str)]) -> String {
    let faults = load_with(files).err().map(|f| f.0).unwrap_or_default();
    let short = |f: &Fault| {
        let name = Path::new(&f.file).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        Fault { file: name, ..f.clone() }.to_string()
    };
    faults.iter().map(short).collect::<Vec<_>>().join("\n")
}

const RULE: &str = r#"id = "Site-1"
name = "A site's rule"
revision = 1
why = "Because."
attack = "T1048"
score = 5
events = "process-created"
entity = "user"
condition = { image = "x" }
"#;

#[test]
fn shipped_content_loads() {
    let content = load(&DetectionSettings::default()).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!((content.rules.len(), content.models.len()), (20, 3));
    assert!(content.rules.iter().all(|r| r.enabled && !r.needs.is_empty()));
}

/// What an agent has learned by an older definition is mixed with none: who changes a definition raises the revision beside it.
#[test]
fn a_shipped_model_with_another_definition_has_another_revision() {
    let content = load(&DetectionSettings::default()).unwrap_or_else(|f| panic!("{f}"));
    let of = |m: &ModelSpec| format!("{} {} {}", m.id, m.revision, m.definition.get(..16).unwrap());
    let all: Vec<String> = content.models.iter().map(of).collect();
    expect_test::expect![[r#"
        FA-UP-TEMP 1 49c922491f174ab2
        WEB-OG-FS 1 214960a5ea298b0c
        WEB-OU-FS 1 558dffd3873cc73b"#]]
    .assert_eq(&all.join("\n"));
}

#[test]
fn a_sites_rule_extends_and_its_files_replace() {
    let content = load_with(&[("rules/site_1.toml", RULE)]).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(content.rules.len(), 21);
    let mine = RULE.replace("Site-1", "Tap-Installer");
    let content = load_with(&[("rules/tap_installer.toml", &mine)]).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(content.rules.len(), 20);
    let rule = content.rules.iter().find(|r| r.id == "Tap-Installer").unwrap();
    assert!(rule.file.ends_with("rules/tap_installer.toml") && rule.file.starts_with('/'), "{}", rule.file);
}

#[test]
fn every_fault_of_every_file_is_reported_with_its_line_and_a_hint() {
    let rule = r#"id = "Site-1"
name = "A site's rule"
revision = 0
why = "Because."
attack = ["T10480"]
scor = 5
events = ["proces-created"]
entity = "usr"
per = "imag"
[condition]
imag = "x"
tokn = "y"
command_line = { regex = "a(", contain = "z" }
any = [{ process_path = { in_table = "tunnel_tool_extended" } }, { is_temp = "yes" }, {}]
[model]
id = "FA-UP-TMP"
says = "frst"
[[test]]
name = "t"
fields = { comand_line = "x" }
"#;
    let other = RULE
        .replace("Site-1", "Site-2")
        .replace("condition = { image = \"x\" }", "condition = { switch = { nam = \"i\" } }");
    expect_test::expect![[r#"
        rule Site-1 (a.toml:1): score is missing
        rule Site-1 (a.toml:3): revision is missing or not a number from 1
        rule Site-1 (a.toml:5): "T10480" is no ATT&CK technique; write an id such as T1048 or T1071.001
        rule Site-1 (a.toml:6): unknown key "scor"; did you mean "score"?
        rule Site-1 (a.toml:7): unknown event type "proces-created"; did you mean "process-created"?
        rule Site-1 (a.toml:8): unknown entity "usr"; did you mean "user"?
        rule Site-1 (a.toml:9): unknown field "imag"; did you mean "image"?
        rule Site-1 (a.toml:11): unknown key "imag"; did you mean "image"?
        rule Site-1 (a.toml:12): unknown key "tokn"; did you mean "token"?
        rule Site-1 (a.toml:13): regex "a(" is not valid: unclosed group
        rule Site-1 (a.toml:13): unknown key "contain"; did you mean "contains"?
        rule Site-1 (a.toml:14): unknown table "tunnel_tool_extended"; did you mean "tunnel_tools_extended"?
        rule Site-1 (a.toml:14): is_temp is a string; write true or false
        rule Site-1 (a.toml:14): an empty condition says nothing; write a test
        rule Site-1 (a.toml:16): unknown model "FA-UP-TMP"; did you mean "FA-UP-TEMP"?
        rule Site-1 (a.toml:17): a model cannot say "frst"; did you mean "first"?
        rule Site-1 (a.toml:18): fires is missing; write true or false
        rule Site-1 (a.toml:20): unknown key "comand_line"; did you mean "command_line"?
        rule Site-1 (a.toml:20): fields is empty; name what the event carries
        rule Site-2 (b.toml:9): switch needs a name
        rule Site-2 (b.toml:9): unknown key "nam"; did you mean "name"?"#]]
    .assert_eq(&faults_of(&[("rules/a.toml", rule), ("rules/b.toml", &other)]));
}

#[test]
fn an_id_that_is_taken_names_the_other_file() {
    let faults = faults_of(&[("rules/a.toml", RULE), ("rules/z.toml", RULE)]);
    assert!(faults.starts_with("rule Site-1 (z.toml:1): this id is in /"), "{faults}");
    assert!(faults.ends_with("/rules/a.toml already"), "{faults}");
    // Also where both would replace the same shipped one.
    let mine = RULE.replace("Site-1", "WEB-FS");
    let faults = faults_of(&[("rules/a.toml", &mine), ("rules/z.toml", &mine)]);
    assert!(faults.starts_with("rule WEB-FS (z.toml:1): this id is in /"), "{faults}");
}

#[test]
fn a_literal_that_no_command_line_can_hold_is_a_fault() {
    let rule = RULE.replace("{ image = \"x\" }", "{ command_line = { contains = [\"a\", \"b^c\"] } }");
    let faults = faults_of(&[("rules/a.toml", &rule)]);
    assert_eq!(faults, "rule Site-1 (a.toml:9): command lines are compared without their carets; write it without");
}

#[test]
fn disabled_rules_are_kept_switched_off_and_unknown_ones_are_a_fault() {
    let disabled = |ids: &[&str]| DetectionSettings {
        disabled_rules: ids.iter().map(|s| (*s).to_owned()).collect(),
        ..DetectionSettings::default()
    };
    let content = load(&disabled(&["WEB-FS"])).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(content.rules.iter().filter(|r| !r.enabled).count(), 1);
    let faults = load(&disabled(&["WEB-SF"])).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "[detection] disabled_rules (config): there is no rule \"WEB-SF\"; did you mean \"WEB-FS\"?"
    );
}

#[test]
fn the_new_reading_of_history_needs_a_domain_to_count_by() {
    let text = shipped_text("rules/web_new_file_20.toml").replace("history = \"user\"", "history = \"user_domain\"");
    let faults = faults_of(&[("rules/web_new_file_20.toml", &text)]);
    assert!(faults.contains("needs per = \"top_domain\""), "{faults}");
    let text = text.replace("period = \"day\"", "per = \"top_domain\"\nperiod = \"day\"");
    assert_eq!(faults_of(&[("rules/web_new_file_20.toml", &text)]), "");
}

fn shipped_text(name: &str) -> String {
    ContentFiles::shipped().0[name].text.clone()
}

/// A rule with a clause about what is common, and its model.
fn with_prevalence(clause: &str, model: &str) -> String {
    let rule = RULE.replace("condition =", "per = \"image\"\ncondition =");
    let rule = format!("{rule}\n[[prevalence]]\n{clause}\n");
    let model = format!(
        "id = \"M\"\nname = \"m\"\nrevision = 1\nscope = \"org\"\nevents = \"process-created\"\nalpha = 0.8\ncut_off = 3\n\
         condition = {{ image = \"x\" }}\n{model}\n"
    );
    faults_of(&[("rules/site_1.toml", &rule), ("models/m.toml", &model)])
}

#[test]
fn faults_in_what_is_common_and_in_new_to_are_named() {
    let good = "model = \"M\"\nat_least = 2\nwithin_days = 5\nthen = \"group\"";
    for (clause, model, said) in [
        (good, "feature = \"image\"", ""),
        (good, "feature = \"user_key\"", ""),
        ("model = \"M\"\nat_least = 2\nwithin_days = 5\nthen = \"score\"\nscore = 3", "feature = \"image\"", ""),
        (good, "feature = \"process_key\"", "the model M counts process_key: the rule needs per = \"process_key\""),
        ("model = \"N\"\nat_least = 0\nwithin_days = 5\nthen = \"group\"", "feature = \"image\"", "at_least is 0"),
        (
            "model = \"N\"\nat_least = 1\nwithin_days = 5\nthen = \"group\"",
            "feature = \"image\"",
            "unknown model \"N\"",
        ),
        (
            "model = \"M\"\nat_least = 1\nthen = \"groop\"",
            "feature = \"image\"",
            "cannot be \"groop\"; did you mean \"group\"?",
        ),
        ("model = \"M\"\nat_least = 1\nthen = \"group\"", "feature = \"image\"", "within_days is missing"),
        ("own_alerts = true\nat_least = 1\nwithin_days = 5\nthen = \"score\"\nscore = 3", "feature = \"image\"", ""),
        (&format!("{good}\nown_alerts = true"), "feature = \"image\"", "write one of them"),
        (
            "own_alerts = true\nat_least = 1\nwithin_days = 5\nthen = \"group\"",
            "feature = \"image\"",
            "own_alerts of one",
        ),
        (
            "at_least = 1\nwithin_days = 5\nthen = \"group\"",
            "feature = \"image\"",
            "by a model or by own_alerts = true",
        ),
        (
            "option = \"o\"\nmodel = \"N\"\nat_lest = 1\nwithin_days = 5\nthen = \"group\"",
            "feature = \"image\"",
            "unknown key \"at_lest\"",
        ),
        (&format!("{good}\n[[prevalence]]\n{good}"), "feature = \"image\"", "the rule makes groups already"),
        (good, "feature = \"image\"\nnew_to = \"FA-UP-TEMP\"", "FA-UP-TEMP counts another field"),
        (
            good,
            "feature = \"image\"\nnew_to = \"FA-UP-TEMPO\"",
            "unknown model \"FA-UP-TEMPO\"; did you mean \"FA-UP-TEMP\"?",
        ),
        (good, "feature = \"image\"\nnew_to = \"M\"", "M asks another model itself"),
    ] {
        let faults = with_prevalence(clause, model);
        assert!(if said.is_empty() { faults.is_empty() } else { faults.contains(said) }, "{clause}\n{model}: {faults}");
    }
    let both = with_prevalence(&format!("{good}\nown_alerts = true"), "feature = \"image\"");
    assert!(!both.contains("unknown key"), "{both}");
}

#[test]
fn options_are_off_until_they_are_named_and_unknown_ones_are_a_fault() {
    let with = |options: &[&str]| {
        let options = options.iter().map(|o| (*o).to_owned()).collect();
        load(&DetectionSettings { options, ..DetectionSettings::default() })
    };
    let shipped = with(&[]).unwrap_or_else(|f| panic!("{f}"));
    assert!(shipped.rules.iter().all(|r| r.prevalence.is_empty()));
    let on = with(&["habits", "prevalence", "known-programs"]).unwrap_or_else(|f| panic!("{f}"));
    assert_eq!(on.models.len(), shipped.models.len() + 1);
    let clauses = |n: usize| on.rules.iter().filter(|r| r.prevalence.len() == n).count();
    assert_eq!((clauses(1), clauses(2)), (13, 1));
    // A model may belong to several options, and is there when one of them is on.
    for option in ["prevalence", "known-programs"] {
        let on = with(&[option]).unwrap_or_else(|f| panic!("{f}"));
        assert_eq!(on.models.len(), shipped.models.len() + 1, "{option}");
        let fa = on.rules.iter().find(|r| r.id == "FA-TEMP-DIRECTORY-F").unwrap();
        assert_eq!(fa.prevalence.len(), 1, "{option}");
    }
    // What asks another model stands before it.
    let first = &on.models[0];
    assert_eq!(first.new_to.map(|m| on.models[usize::from(m)].id.as_str()), Some("FA-UP-TEMP"), "{}", first.id);
    let faults = with(&["habit"]).unwrap_err().to_string();
    assert!(faults.contains("no content has the option \"habit\"; did you mean \"habits\"?"), "{faults}");
}
