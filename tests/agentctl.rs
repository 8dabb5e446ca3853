//! agentctl from outside: exit codes, and what goes to which stream.

use assert_cmd::Command;

fn agentctl(line: &str) -> (i32, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere").to_str().unwrap().to_owned();
    let arguments = line.split_whitespace().map(|a| a.replace("NOWHERE", &nowhere));
    let output = Command::cargo_bin("agentctl").unwrap().args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_wrong_command_line_is_2() {
    for line in ["", "bogus", "alerts", "status --format xml", "alerts show xyz", "status --state a --socket b"] {
        let (code, stdout, stderr) = agentctl(line);
        assert_eq!((code, stdout.as_str()), (2, ""), "{line}: {stderr}");
        assert!(!stderr.is_empty(), "{line}");
    }
}

#[test]
fn an_agent_that_is_nowhere_is_5_and_the_message_says_where_it_was_sought() {
    for place in ["--socket NOWHERE", "--state NOWHERE"] {
        for command in ["status", "state dump", "state stats", "alerts list", "alerts show abcd", "rules list"] {
            let (code, stdout, stderr) = agentctl(&format!("{command} {place}"));
            assert_eq!((code, stdout.as_str()), (5, ""), "{command} {place}: {stderr}");
            assert!(stderr.starts_with("agentctl: ") && stderr.contains("nowhere"), "{stderr}");
        }
    }
}

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let (code, stdout, _) = agentctl("--help");
    assert_eq!(code, 0);
    for word in ["status", "state", "alerts", "rules", "Exit codes"] {
        assert!(stdout.contains(word), "{word} in {stdout}");
    }
}

#[test]
fn it_is_the_agent_under_another_name_and_says_so_where_the_agent_is_not_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("agentctl");
    // Another process copies: a program that this one has open for writing, or a child of another test, cannot be started.
    let copied = Command::new("cp").arg(assert_cmd::cargo::cargo_bin!("agentctl")).arg(&copy).output().unwrap();
    assert!(copied.status.success());
    let alone = Command::new(&copy).arg("--help").output().unwrap();
    let message = String::from_utf8(alone.stderr).unwrap();
    assert_eq!((alone.status.code(), alone.stdout.len()), (Some(1), 0), "{message}");
    assert!(message.starts_with("agentctl: cannot start") && message.contains("in one directory"), "{message}");

    std::os::unix::fs::symlink(assert_cmd::cargo::cargo_bin!("exfil-agent"), dir.path().join("exfil-agent")).unwrap();
    let beside = Command::new(&copy).arg("--help").output().unwrap();
    assert_eq!(agentctl("--help").1.as_bytes(), beside.stdout);
    let help = String::from_utf8(beside.stdout).unwrap();
    assert!(help.contains("Usage: agentctl"), "{help}");
}

/// A pasted line: what it is, and of each rule why it holds or does not.
#[test]
fn a_line_is_explained_rule_by_rule() {
    let test = |more: &[&str]| {
        let mut words = vec!["rules", "test"];
        words.extend(more);
        let out = Command::new(env!("CARGO_BIN_EXE_agentctl")).args(words).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap()
    };
    let head = r"CEF:0|Dtex|DTEX InTERCEPT|6.0|ProcessCreated|Running C:\t\plink.exe|5|start=1612345678901";
    let line = format!(r"{head} Device_Name=CORP\WS1 User_Name=CORP\jdoe New_Key=1 reason=plink.exe -ssh u@h");
    let report = test(&["--line", &line]);
    assert_eq!(report["parser"], "cef-dtex-process-created");
    assert_eq!(report["time"], "2021-02-03T09:47:58.901Z");
    assert_eq!(report["fields"]["user_key"], r"corp\jdoe");
    assert_eq!(report["odd"][0], "unknown_key");
    let rules = report["rules"].as_array().unwrap();
    let rule = |id: &str| rules.iter().find(|r| r["rule"] == id).unwrap();
    assert_eq!(rule("Exfil-Tunnel-Tools-Exec")["holds"], true);
    assert_eq!(rule("Exfil-Tunnel-Tools-Exec")["matched"][0]["field"], "image");
    let why_not = rule("A-Certutil-Encode")["why_not"].as_str().unwrap();
    assert_eq!(why_not, "image is \"plink\"; wanted: equals certutil");
    assert_eq!(rules.len() as u64 + report["other_rules"].as_u64().unwrap(), 20);

    let file = r"CEF:0|Dtex|DTEX InTERCEPT|6.0|FileCreated|C:\d\a.txt (10 bytes)|3|start=1612345678901 Device_Name=W User_Name=u Process_Name=up.exe Process_Directory=C:\Users\u\AppData\Local\Temp";
    let report = test(&["--line", file, "--rule", "fa-temp-directory-f"]);
    assert_eq!((&report["trains"][0], &report["flags"][0]), (&"FA-UP-TEMP".into(), &"is_temp".into()));
    assert_eq!(report["rules"].as_array().unwrap().len(), 1);
    assert!(report["rules"][0]["needs"][0].as_str().unwrap().contains("FA-UP-TEMP has never counted the value"));
    let report = test(&["--line", file, "--rule", "WEB-FS"]);
    assert!(report["rules"][0]["why_not"].as_str().unwrap().contains("this is file-write"), "{report}");

    // A row by its header, and what is no event.
    let header = "Activity_Type,Start_Time,User_Name,User_Department,User_Location,Device_Name,Website_Query";
    let row = "WebPageAccessed,2026-03-02 10:00:00,CORP\\u,Sales,Paris,WS1,https://mega.nz/x";
    let report = test(&["--header", header, "--line", row]);
    assert_eq!((&report["format"], &report["fields"]["top_domain"]), (&"csv".into(), &"mega.nz".into()));
    for (line, wanted) in [
        (head.replace("ProcessCreated", "ProcessKilled"), "no parser takes its activity"),
        (head.replace("|Dtex|", "|Other|"), "its vendor is another one"),
        (head.replace("start=", "stert="), "its time is missing"),
        ("hello".to_owned(), "--header"),
    ] {
        let report = test(&["--line", &line]);
        assert_eq!(report["parser"], serde_json::Value::Null);
        let why = report["refused"].as_str().unwrap();
        assert!(why.contains(wanted), "{line}: {why}");
    }
}

/// Content without an agent: which files count, tests, a tree to start from, techniques.
#[test]
fn content_is_checked_tested_written_out_and_mapped_to_techniques() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let run = |words: &[&str]| {
        let out = Command::new(env!("CARGO_BIN_EXE_agentctl")).args(words).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
    };
    let (code, tested, _) = run(&["content", "test"]);
    let tested: Vec<serde_json::Value> = tested.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((code, tested.len()), (0, 21), "{tested:?}");
    assert!(tested.iter().all(|row| row["tests"].as_u64().unwrap() >= 15 && row["failed"] == 0), "{tested:?}");

    let tree = at("tree");
    assert_eq!(run(&["content", "export", &tree]).0, 0);
    let (code, one, _) = run(&["content", "test", &tree, "--rule", "web-fs", "--format", "csv"]);
    assert!(code == 0 && one.lines().count() == 2, "{one}");
    assert!(one.starts_with("rule,tests,failed,ms,file\nWEB-FS,") && one.contains(&tree), "{one}");
    let (code, page, _) = run(&["content", "test", &tree, "--rule", "web-fs", "--format", "table"]);
    assert!(code == 0 && page.contains(" tests passed, in "), "{page}");
    let (code, _, said) = run(&["content", "test", &tree, "--rule", "web-sf"]);
    assert!(code == 3 && said.contains("did you mean \"WEB-FS\"?"), "{said}");
    let (code, _, said) = run(&["content", "test", &at("nowhere")]);
    assert!(code == 1 && said.contains("cannot read the content directory"), "{said}");
    assert_eq!(run(&["content", "export", &tree]).0, 2, "nothing is written over");
    std::fs::write(at("agent.toml"), format!("[detection]\ncontent_dir = {tree:?}\n")).unwrap();
    let config = at("agent.toml");
    let (code, files, said) = run(&["--config", &config, "content", "check"]);
    assert_eq!((code, said.as_str()), (0, ""), "a tree as it was exported is up to date");
    let files: Vec<serde_json::Value> = files.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(
        files.len() > 40 && files.iter().all(|f| f["replaces"].is_string() && f["origin"] == f["file"]),
        "{files:?}"
    );

    // Every fault on a line of its own, with its place.
    std::fs::write(at("tree/rules/own.toml"), "id = \"x\"\n").unwrap();
    for command in ["check", "test"] {
        let (code, _, said) = run(&["--config", &config, "content", command]);
        assert_eq!(code, 1);
        let faults: Vec<&str> = said.lines().filter(|l| l.contains("own.toml:1)")).collect();
        assert!(faults.len() > 3 && faults.iter().any(|f| f.ends_with("name is missing")), "{said}");
    }
    std::fs::remove_file(at("tree/rules/own.toml")).unwrap();
    let rule = std::fs::read_to_string(at("tree/rules/web_fs.toml")).unwrap();
    std::fs::write(at("tree/rules/web_fs.toml"), rule.replacen("https://notdropbox.com", "https://www.dropbox.com", 1))
        .unwrap();
    let (code, rows, said) = run(&["--config", &config, "content", "test"]);
    assert!(code == 1 && said.starts_with("agentctl: 1 test failed:\nrule WEB-FS ("), "{said}");
    assert!(
        said.contains("web_fs.toml:") && said.contains("must not fire, but does: is_file_sharing (\"true\")"),
        "{said}"
    );
    assert_eq!(rows.lines().filter(|row| row.contains("\"failed\":1,")).count(), 1, "{rows}");

    let layer = at("layer.json");
    let (code, techniques, _) = run(&["coverage", "--navigator", &layer]);
    assert_eq!(code, 0);
    let t1020 = techniques.lines().find(|l| l.contains("\"T1020\"")).unwrap();
    assert!(t1020.contains("Exfil-Tunnel-Tools-Exec") && t1020.contains("https://attack.mitre.org/techniques/T1020/"));
    let layer: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(layer).unwrap()).unwrap();
    assert_eq!((&layer["domain"], &layer["versions"]["layer"]), (&"enterprise-attack".into(), &"4.5".into()));
    assert_eq!(layer["techniques"].as_array().unwrap().len(), techniques.lines().count());
}
