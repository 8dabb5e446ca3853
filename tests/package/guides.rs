//! The guides, followed to the letter on a machine that has only the package.

use super::machine::Machine;
use super::{deb, skip};
use std::fs;

/// The `sh` blocks of a document, in order.
fn blocks(document: &str) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap();
    let mut out: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match line {
            "```sh" => {
                inside = true;
                out.push(String::new());
            }
            "```" => inside = false,
            _ if inside => out.last_mut().unwrap().extend([line, "\n"]),
            _ => {}
        }
    }
    out
}

/// Follows a document in one shell, as its reader does, and gives what each block writes.
fn follow(machine: &Machine, document: &str) -> Vec<String> {
    const NEXT: &str = "== the next block ==";
    let script = blocks(document).join(&format!("echo '{NEXT}'\n"));
    machine.follow(&script).split(NEXT).map(str::to_owned).collect()
}

#[test]
fn the_guides_work_to_the_letter() {
    let name = "the_guides_work_to_the_letter";
    let deb = match deb("mmdebstrap") {
        Ok(deb) => deb,
        Err(reason) => return skip(name, &reason),
    };
    let machine = match Machine::new() {
        Ok(machine) => machine.with_a_service(),
        Err(reason) => return skip(name, &reason),
    };
    fs::copy(&deb, machine.path("root").join(deb.file_name().unwrap())).unwrap();

    let said = follow(&machine, "docs/quickstart.md");
    let said_by = |word: &str| said.iter().filter(|s| s.contains(word)).count();
    assert!(said[1].contains("no faults"), "{}", said[1]);
    assert!(said[2].contains("running"), "{}", said[2]);
    assert!(said[4].contains("Exfil-Tunnel-Tools-Exec"), "{}", said[4]);
    assert!(said[5].contains("What to look at next"), "{}", said[5]);
    assert!(said[7].contains("Site-Rclone"), "{}", said[7]);
    // Its tests and its alert.
    assert_eq!(said_by("Site-Rclone"), 2);

    let said = follow(&machine, "docs/dtex.md");
    let report = said.last().unwrap();
    assert!(report.contains("52428800") && report.contains("WEB-New-File-20"), "{report}");
    // The key that the guide adds is read: the record's own words reach the field.
    let line = "CEF:0|Dtex|DTEX InTERCEPT|6.0|WebPageAccessed|https://x.example/|3|start=1772442000000 \
                Device_Name=CORP\\WS1 User_Name=CORP\\jdoe Website_Query=https://x.example/ Upload_Size_Bytes=77";
    let read = machine.run(&["agentctl", "rules", "test", "--line", line]);
    assert!(read.contains("\"bytes_out\":\"77\""), "{read}");

    let known = machine.run(&["agentctl", "state", "stats"]);
    let said = follow(&machine, "docs/operating.md");
    assert!(said.iter().any(|s| s.contains("FA-TEMP-DIRECTORY-F")), "{said:#?}");
    let users = |stats: &str| stats.split("\"users\":").nth(1).unwrap().split(',').next().unwrap().to_owned();
    assert_eq!(users(&machine.run(&["agentctl", "state", "stats"])), users(&known), "the move keeps what was learned");
    machine.run(&["systemctl", "stop", "exfil-agent"]);
}
