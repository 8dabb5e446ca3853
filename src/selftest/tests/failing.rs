//! What is said of a test that fails, and of a block that cannot be run. The rule of docs/rules.md passes its tests.

use super::*;

const GUIDE: &str = include_str!("../../../docs/rules.md");

/// A rule with one block, at line 10.
fn rule_with(more: &str, test: &str) -> ContentFiles {
    let rule =
        "id = \"Site-1\"\nname = \"n\"\nrevision = 1\nwhy = \"w\"\nattack = \"T1048\"\nscore = 5\nentity = \"user\"\n";
    let text = format!("{rule}{more}\n\n[[test]]\n{test}\n");
    shipped_with(&[("rules/site_1.toml", &text)])
}

fn said(files: &ContentFiles) -> String {
    let faults = match Runner::new(&layers(files)) {
        Err(faults) => faults,
        Ok(mut runner) => faults_of(&runner.run(Some("site-1")).unwrap()),
    };
    faults.check(()).err().map(|f| f.to_string()).unwrap_or_default()
}

/// What is said of a test of a rule about processes.
fn of_process(test: &str) -> String {
    said(&rule_with("events = \"process-created\"\ncondition = { image = [\"x\", \"y\"], token = \"put\" }", test))
}

fn of_model(says: &str, test: &str) -> String {
    let more = format!(
        "events = \"file-write\"\nper = \"process_key\"\ncondition = {{ is_temp = true }}\nmodel = {{ id = \"FA-UP-TEMP\", {says} }}"
    );
    said(&rule_with(&more, test))
}

#[test]
fn a_test_that_fails_names_the_condition_or_the_numbers_that_decided() {
    let x = "process_path = 'C:\\x.exe'";
    let all = [
        of_process(&format!("name = 't'\nfires = true\nfields = {{ {x}, command_line = 'x get' }}")),
        of_process(&format!("name = 't'\nfires = false\nfields = {{ {x}, command_line = 'x put' }}")),
        of_process(&format!("name = 't'\nevent = 'file-read'\nfires = true\nfields = {{ {x} }}")),
        of_process(&format!("name = 't'\nfires = true\nfields = {{ {x}, command_line = 'x put', user = '' }}")),
        of_process(&format!(
            "name = 't'\nfires = true\nhistory = {{ fields = {{ {x}, command_line = 'x put' }} }}\nfields = {{ {x}, command_line = 'x put' }}"
        )),
        of_process(&format!(
            "name = 't'\nfires = true\nvalue = 'x'\nentity = 'anna'\nscore = 6\nevidence = {{ n = 3, matched = ['image equals z'] }}\n\
             fields = {{ {x}, command_line = 'x put' }}"
        )),
        of_process("name = 't'\nfires = true\nline = 'CEF:0|Dtex|Dtex|6|Nonsense|x|5|start=1750248000000'"),
        of_process(
            "name = 't <each>'\nfor_each = ['x', 'z']\nfires = true\nfields = { process_path = '<each>', command_line = 'x put' }",
        ),
        of_model(
            "says = 'first'",
            "name = 't'\nfires = true\nhistory = { days = 13, fields = { process_dir = '/tmp', process_name = 'a' } }\n\
             fields = { process_dir = '/tmp', process_name = 'b' }",
        ),
        of_model(
            "says = 'first'",
            "name = 't'\nfires = false\nhistory = { days = 14, fields = { process_dir = '/tmp', process_name = 'a' } }\n\
             fields = { process_dir = '/tmp', process_name = 'b' }",
        ),
        of_model(
            "says = 'abnormal', percentile = 0.1",
            "name = 't'\nfires = true\nhistory = { days = 40, fields = { process_dir = '/tmp', process_name = 'a' } }\n\
             fields = { process_dir = '/tmp', process_name = 'a' }",
        ),
        of_model(
            "says = 'first'",
            "name = 't'\nfires = true\nhistory = { ahead = 4, fields = { process_dir = '/tmp', process_name = 'a' } }\n\
             fields = { process_dir = '/tmp', process_name = 'b' }",
        ),
        said(&rule_with(
            "events = \"web-activity-allowed\"\ncondition = { method = \"POST\" }\nsum = { field = \"bytes_out\", reaches = 10 }",
            "name = 't'\nfires = true\nfields = { method = 'post', bytes_out = '9' }",
        )),
    ];
    expect_test::expect![[r#"
        rule Site-1 (rules/site_1.toml:11): test "t": must fire, but does not: command_line is "x get"; wanted: token equals put
        rule Site-1 (rules/site_1.toml:11): test "t": must not fire, but does: image ("x") equals any of x, y; command_line ("put") token equals put
        rule Site-1 (rules/site_1.toml:11): test "t": must fire, but does not: the rule is not for file-read events
        rule Site-1 (rules/site_1.toml:11): test "t": must fire, but does not: the event names no user
        rule Site-1 (rules/site_1.toml:11): test "t": must fire, but does not: it has fired for this entity and value in this period already
        rule Site-1 (rules/site_1.toml:11): test "t": fires, but value is "", expected "x"; entity is "jdoe", expected "anna"; score is 5, expected 6; evidence has no n, expected 3; "image equals z" is not among what matched: image equals any of x, y; command_line token equals put
        rule Site-1 (rules/site_1.toml:11): test "t": the line is no event: unknown_activity
        rule Site-1 (rules/site_1.toml:11): test "t z": must fire, but does not: image is "z"; wanted: equals any of x, y
        rule Site-1 (rules/site_1.toml:13): test "t": must fire, but does not: model FA-UP-TEMP does not say first: n 13, c 1, confidence 0.938 (not converged), count 0, history days 13
        rule Site-1 (rules/site_1.toml:13): test "t": must not fire, but does: is_temp ("true") is true; model FA-UP-TEMP says first: n 14, c 1, confidence 0.942 (not converged), count 0, history days 14
        rule Site-1 (rules/site_1.toml:13): test "t": must fire, but does not: model FA-UP-TEMP does not say abnormal: n 40, c 1, confidence 0.980 (converged), count 40, history days 40
        rule Site-1 (rules/site_1.toml:13): test "t": must fire, but does not: the event is late or in the future, and the rule asks what was learned
        rule Site-1 (rules/site_1.toml:12): test "t": must fire, but does not: the sum is 9 of 10"#]].assert_eq(&all.join("\n"));
}

#[test]
fn a_block_that_cannot_be_run_is_a_fault_with_its_line_when_it_is_loaded() {
    let test = r#"name = "t"
kind = "near-mis"
evasion = "carrots"
line = "x"
fields = { comand_line = "x" }
time = "noon"
history = ["two_week", { days = 0, ahead = 1, ago = 2, each = 0, fields = { image = "x" } }]
settings = { strikt = true }
evidence = { m = 3, n = "x" }
fill = { text = "x", times = 99999999 }
for_each = []

[[test]]
name = "u"
kind = "near-miss"
fields = { image = "x" }
history = { days = 10000, each = 10000, fields = { image = "x" } }
fires = true

[[test]]
kind = "evasion"
fields = {}
value = "x"
fires = false

[test_history]
two_weeks = { fields = { image = "x" } }"#;
    expect_test::expect![[r#"
        rule Site-1 (rules/site_1.toml:11): a line gives its own fields; write line or fields, not both
        rule Site-1 (rules/site_1.toml:11): fires is missing; write true or false
        rule Site-1 (rules/site_1.toml:13): unknown kind "near-mis"; did you mean "near-miss"?
        rule Site-1 (rules/site_1.toml:14): unknown evasion "carrots"; did you mean "carets"?
        rule Site-1 (rules/site_1.toml:15): unknown key "line"; did you mean "line"?
        rule Site-1 (rules/site_1.toml:16): unknown key "fields"; did you mean "fields"?
        rule Site-1 (rules/site_1.toml:17): "noon" is no time; write RFC 3339 or an epoch
        rule Site-1 (rules/site_1.toml:18): there is no history "two_week" in [test_history]; did you mean "two_weeks"?
        rule Site-1 (rules/site_1.toml:18): ahead is one day after the tested event; write it without ago and days
        rule Site-1 (rules/site_1.toml:18): days is 0; write a number from 1
        rule Site-1 (rules/site_1.toml:18): each is 0; write a number from 1
        rule Site-1 (rules/site_1.toml:19): unknown key "strikt"; did you mean "strict"?
        rule Site-1 (rules/site_1.toml:20): n is a number
        rule Site-1 (rules/site_1.toml:20): unknown key "m"; did you mean "c"?
        rule Site-1 (rules/site_1.toml:21): fill makes more than 1048576 bytes
        rule Site-1 (rules/site_1.toml:22): for_each is empty; name what <each> stands for
        rule Site-1 (rules/site_1.toml:28): the history has 100000000 events; write at most 20000
        rule Site-1 (rules/site_1.toml:29): a test of the kind "near-miss" says fires = false
        rule Site-1 (rules/site_1.toml:31): name is missing
        rule Site-1 (rules/site_1.toml:31): kind = "evasion" and evasion = "…" (or a list) belong together
        rule Site-1 (rules/site_1.toml:31): value, entity, score and evidence are those of an alert; with fires = false there is none
        rule Site-1 (rules/site_1.toml:33): fields is empty; name what the event carries
        rule Site-1 (rules/site_1.toml:35): a test of the kind "evasion" says fires = true
        rule Site-1 (rules/site_1.toml:38): no test begins with the history "two_weeks""#]].assert_eq(&of_process(test));
}

/// The `toml` blocks of the guide: a whole rule, and a part of a rule with a model.
#[test]
fn the_rules_of_the_guide_pass_their_tests() {
    let blocks: Vec<&str> = GUIDE.split("```toml\n").skip(1).map(|b| b.split("```").next().unwrap()).collect();
    let [rule, part] = blocks[..] else { panic!("docs/rules.md has two blocks of TOML") };
    let run = |text: &str, id: &str| {
        let files = shipped_with(&[("rules/guide.toml", text)]);
        let outcomes = Runner::new(&layers(&files)).unwrap_or_else(|f| panic!("{f}")).run(Some(id)).unwrap();
        let faults = faults_of(&outcomes);
        assert!(faults.is_empty(), "{faults}");
        outcomes[0].tests
    };
    assert_eq!(run(rule, "Site-Rclone"), 9);
    let shipped = &ContentFiles::shipped().0["rules/fa_temp_directory_f.toml"].text;
    let head = shipped.split("\n# survives").next().unwrap().split("\n[test_history]").next().unwrap();
    assert_eq!(run(&format!("{}\n{part}", head.replace("\"FA-TEMP-DIRECTORY-F\"", "\"Guide\"")), "Guide"), 2);
    let broken = rule.replacen("\"sync\", ", "", 1);
    let files = shipped_with(&[("rules/guide.toml", &broken)]);
    assert!(run_all(&layers(&files)).is_err());
}

#[test]
fn a_test_does_not_depend_on_what_the_content_switches_off() {
    let off = "events = \"process-created\"\nenabled = false\ncondition = { image = \"x\" }";
    let test = "name = 't'\nfires = true\nfields = { process_path = 'x.exe' }";
    assert_eq!(said(&rule_with(off, test)), "");
}
