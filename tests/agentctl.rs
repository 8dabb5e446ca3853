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
    std::fs::copy(assert_cmd::cargo::cargo_bin!("agentctl"), &copy).unwrap();
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
